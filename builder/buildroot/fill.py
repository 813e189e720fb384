"""The templates of this folder, filled in; strict, so that what a template asks for and is not there is an error."""

from __future__ import annotations

import functools
from pathlib import Path

import jinja2

from builder.buildroot.tree import NAME, TREE, TREE_SHELL, File, made_by
from builder.errors import RecipeError
from builder.settings import VERSION

FOLDER = Path(__file__).with_name("templates")


@functools.cache
def _environment() -> jinja2.Environment:
    found = jinja2.Environment(  # noqa: S701
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.globals |= {"name": NAME, "version": VERSION, "tree": TREE, "tree_shell": TREE_SHELL}
    return found


def fill(template: str, of: str, **values: object) -> File:
    """A file made from ``template``, whose first lines say that it is made from ``of``; one for a shell is run."""
    text = _environment().get_template(f"{template}.j2").render(made=made_by(of), **values)
    return File(text.encode(), runs=template.endswith(".sh"))


def fill_file(file: Path, **values: object) -> str:
    """The text of a template that stands elsewhere. Raises RecipeError with file and line."""
    try:
        return _environment().from_string(file.read_text()).render(**values)
    except jinja2.TemplateSyntaxError as error:
        raise RecipeError(file, error.lineno, error.message or "not a template") from None
    except jinja2.UndefinedError as error:
        raise RecipeError(file, 1, f"{error.message}; there are: {', '.join(sorted(values))}") from None
