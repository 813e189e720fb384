"""Templates filled in: by Jinja2 where boxes are made, on a box by what they became when its image was made."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).with_name("templates")
OPTIONS: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True}
# compile_templates.py makes this module, for images alone.
COMPILED = "cygnet_site.compiled"
Fill = Callable[..., str]


def fill(template: str, **values: object) -> str:
    """The text of a template. It is strict: what it asks for and is not there is an error of ours."""
    return _fillers()(template, **values)


@functools.cache
def _fillers() -> Fill:
    try:
        compiled = importlib.import_module(COMPILED)
    except ImportError:
        return _jinja()
    return lambda template, **values: str(compiled.TEMPLATES[template](**values))


def _jinja() -> Fill:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # Nothing here is HTML, so nothing is escaped: what each value may hold is checked where it is read.
    environment = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, **OPTIONS)  # noqa: S701
    return lambda template, **values: environment.get_template(f"{template}.j2").render(**values)
