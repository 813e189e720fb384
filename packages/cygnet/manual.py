"""The manual pages of the ``ipsec`` commands, made of what the commands say of themselves: their rows in
cli/commands.py, the docstrings of their modules, USAGE and OPTIONS.

    python packages/cygnet/manual.py FOLDER      # FOLDER/man8/ipsec_auto.8 and so on; ./inv manual does it
    man -M FOLDER ipsec_auto

In a docstring a blank line begins a paragraph, four spaces an example, and ``...`` is what one types. A paragraph that
begins with "Exit status:" has its own heading. Every page that it names, such as ipsec.conf(5), is one to see also.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

SOURCE = Path(__file__).parent / "src"
# Where USAGE and OPTIONS are, if not beside the docstring.
TABLES = {"pluto": "cygnet.daemon.main"}
STATUS = "Exit status: "
NAMED = re.compile(r"\b([\w.-]+)\(([1-9])\)")


def pages() -> dict[str, str]:
    """File name -> page, of every command that ``ipsec --help`` lists, and of ``ipsec`` itself."""
    sys.path.insert(0, str(SOURCE))
    from cygnet import cli
    from cygnet.cli.commands import COMMANDS
    from cygnet.cli.options import HELP

    shown = {name: row for name, row in COMMANDS.items() if row[1]}
    options = [(name, "", text) for name, (_, text) in shown.items()]
    usage = ("ipsec command argument ...", "ipsec command --help", "ipsec --help|--version|--directory|--confdir")
    made = {"ipsec.8": _page("ipsec", "FreeS/WAN's commands", cli, usage, options, "COMMANDS")}
    for name, (module, text) in shown.items():
        described = import_module(f"cygnet.cli.{module}")
        table = import_module(TABLES.get(name, described.__name__))
        rows = [*table.OPTIONS, *HELP]
        made[f"ipsec_{name}.8"] = _page(f"ipsec_{name}", text, described, table.USAGE, rows, "OPTIONS")
    return made


def write(folder: Path) -> list[Path]:
    """Write them below ``folder``, as man -M wants them."""
    (folder / "man8").mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in pages().items():
        path = folder / "man8" / name
        path.write_text(text)
        written.append(path)
    return written


def _page(
    name: str, text: str, module: ModuleType, usage: tuple[str, ...], rows: list[tuple[str, str, str]], head: str
) -> str:
    from cygnet import __version__

    said = inspect.cleandoc(module.__doc__ or "")
    lines = [f'.TH {name.upper()} 8 "" "Cygnet {__version__}" "Cygnet"', ".SH NAME", rf"{name} \- {_text(text)}"]
    lines += [
        ".SH SYNOPSIS",
        ".nf",
        *(f".B {_literal(line)}" for line in usage),
        ".fi",
        ".SH DESCRIPTION",
        *_body(said),
    ]
    lines.append(f".SH {head}")
    for option, value, meaning in rows:
        lines += [
            ".TP",
            f"\\fB{_literal(option)}\\fR" + (f" \\fI{_literal(value)}\\fR" if value else ""),
            _text(meaning),
        ]
    named = {f"{page}({section})" for page, section in NAMED.findall(said)} | {"ipsec(8)"}
    return "\n".join([*lines, ".SH SEE ALSO", ", ".join(sorted(named - {f"{name}(8)"})) or "ipsec.conf(5)", ""])


def _body(said: str) -> Iterator[str]:
    """The docstring without the name before it."""
    status = ""
    for paragraph in re.sub(r"^``ipsec[^`]*``: (.)", lambda found: found[1].upper(), said).split("\n\n"):
        if paragraph.startswith("    "):
            yield from (".PP", ".nf", ".RS 4", *(_text(line[4:]) for line in paragraph.splitlines()), ".RE", ".fi")
        elif paragraph.startswith(STATUS):
            status = paragraph.removeprefix(STATUS)
        else:
            yield from (".PP", *map(_text, paragraph.splitlines()))
    if status:
        yield from ('.SH "EXIT STATUS"', *map(_text, status.splitlines()))


def _text(line: str) -> str:
    """A line of text, none of whose characters commands the formatter but what is between double backquotes: bold."""
    escaped = re.sub(r"``(.+?)``", r"\\fB\1\\fR", line.replace("\\", r"\e"))
    return rf"\&{escaped}" if escaped[:1] in (".", "'") else escaped


def _literal(text: str) -> str:
    """What is typed has minus signs, no hyphens."""
    return text.replace("\\", r"\e").replace("-", r"\-")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: manual.py FOLDER")
    print(f"{len(write(Path(sys.argv[1])))} manual pages in {sys.argv[1]}/man8; man -M {sys.argv[1]} ipsec")
