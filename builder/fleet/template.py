"""A template and values, to a text whose every line knows which line of the template it came from.

``{{ ... }}`` writes a TOML value: a text comes out quoted, a list as an array, a number as it is; so no cell can be
anything but a value. Within quotes of one's own it is ``"{{ ... | inside }}"``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_interface
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.exceptions import UndefinedError
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream

from builder.errors import CygnetError

_BARE_KEY = re.compile("[A-Za-z0-9_-]+")
# No cell and no TOML text has this character, so it marks where a line of the template begins.
_MARK = re.compile("\0[0-9]+\0")
# Of several in front of a line the last: those before it belong to what was left out.
_FIRST = re.compile("(?:\0[0-9]+\0)*\0([0-9]+)\0")


class Rendered(NamedTuple):
    """A text, and the line of the template for each of its lines."""

    text: str
    lines: tuple[int, ...]

    def origin(self, line: int) -> int:
        """The line of the template that made line ``line`` of the text."""
        return self.lines[min(max(line, 1), len(self.lines)) - 1] if self.lines else 1


class Plain(str):
    """A text that is TOML already."""

    __slots__ = ()


class _Marked(Extension):
    """Puts a mark with its number before each line of a template."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """See Extension."""
        for token in stream:
            if token.type == "data":
                lines = token.value.split("\n")
                marked = (f"\0{token.lineno + number}\0{line}" for number, line in enumerate(lines))
                yield Token(token.lineno, "data", "\n".join(marked))
            else:
                yield token


def load(file: Path) -> Template:
    """The template in ``file``; CygnetError with file:line where it is none."""
    environment = Environment(
        loader=FileSystemLoader(file.parent), undefined=StrictUndefined, finalize=toml, extensions=[_Marked],
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False,  # noqa: S701 - toml quotes
    )  # fmt: skip
    environment.filters |= {"toml": toml, "inside": inside, "raw": lambda text: Plain(_bare(text)), "nth": nth}
    try:
        return environment.get_template(file.name)
    except TemplateSyntaxError as error:
        raise CygnetError(f"{file}:{error.lineno}: {error.message}") from None
    except TemplateError:
        raise CygnetError(f"{file}: there is no such file: --template names the template of site.toml") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CygnetError(f"{file}: it cannot be read: {getattr(error, 'strerror', 'it is not UTF-8')}") from None


def render(template: Template, where: str, values: Mapping[str, object]) -> Rendered:
    """The text. ``where``: whose values these are, for what is wrong."""
    try:
        # Not render(): that would wrap what a filter says in words about Jinja2.
        marked = "".join(template.root_render_func(template.new_context(dict(values))))
    except (TemplateError, CygnetError, TypeError, ValueError, LookupError, ArithmeticError) as error:
        line = _line(template, error.__traceback__)
        sentence = error.message if isinstance(error, UndefinedError) else str(error)
        raise CygnetError(f"{where}: {template.filename}:{line}: {sentence}") from None
    lines, line = [], 1
    for text in marked.split("\n"):
        mark = _FIRST.match(text)
        line = int(mark[1]) if mark else line
        lines.append(line)
    return Rendered(_bare(marked), tuple(lines))


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    match value:
        case Plain():
            return value
        case bool():
            return Plain("true" if value else "false")
        case int():
            return Plain(value)
        case str():
            return Plain(f'"{inside(value)}"')
        case Mapping():
            return Plain("{ " + ", ".join(f"{_key(key)} = {toml(item)}" for key, item in value.items()) + " }")
        case list() | tuple():
            return Plain("[" + ", ".join(map(toml, value)) + "]")
    # An undefined one says by itself what it is.
    raise ValueError(f"{str(value)!a} is no text, number, list or table")


def _key(name: object) -> str:
    return str(name) if _BARE_KEY.fullmatch(str(name)) else toml(str(name))


def inside(value: Any) -> str:
    """A text for within double quotes, single ones or three."""
    return Plain(json.dumps(_bare(str(value)), ensure_ascii=False)[1:-1].replace("\x7f", "\\u007f"))


def nth(interface: str, number: int) -> str:
    """The address ``number`` of a network that is given by an address in it: "10.1.7.1/24" | nth(100)."""
    network = ip_interface(interface).network
    if not 0 < number < network.num_addresses - 1:
        raise ValueError(f"{network} has no address {number} for a machine")
    return str(network[number])


def _bare(text: str) -> str:
    return _MARK.sub("", text)


def _line(template: Template, trace: TracebackType | None) -> int:
    """The innermost line of the template in a traceback."""
    line = 1
    while trace:
        if trace.tb_frame.f_code.co_filename == template.filename:
            line = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line
