"""Every command has --help and a manual page, both made of what its module says; and the pages are clean man(7)."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from cygnet.cli import COMMANDS, main

PROGRAM = Path(__file__).resolve().parents[2] / "manual.py"
MACROS = {".TH", ".SH", ".PP", ".TP", ".B", ".nf", ".fi", ".RS", ".RE"}
HEADINGS = {"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "SEE ALSO"}
SHOWN = [name for name in COMMANDS if not name.startswith("_")]


def load() -> ModuleType:
    found = importlib.util.spec_from_file_location("manual", PROGRAM)
    assert found and found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


MANUAL = load()
PAGES = MANUAL.pages()


def sections(page: str) -> dict[str, str]:
    """Heading -> what stands below it."""
    return dict(re.findall(r'^\.SH "?([A-Z ]+?)"?\n(.*?)(?=^\.SH|\Z)', page, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("name", SHOWN)
def test_a_command_has_help_and_a_page_that_say_the_same(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    helped = re.findall(r"^  (--?\w[\w-]*)", capsys.readouterr().out, re.MULTILINE)
    page = sections(PAGES[f"ipsec_{name}.8"])
    assert page.keys() >= HEADINGS
    assert re.findall(r"^\.TP\n\\fB(\S+?)\\fR", page["OPTIONS"], re.MULTILINE) == [
        option.replace("-", r"\-") for option in helped
    ]
    assert page["NAME"] == f"ipsec_{name} \\- {COMMANDS[name][1]}\n"
    assert f".B ipsec {name}" in page["SYNOPSIS"].replace(r"\-", "-")
    # Somebody wrote more than a title.
    assert len(page["DESCRIPTION"].split()) > 8


def test_the_program_has_a_page_that_lists_them() -> None:
    listed = re.findall(r"\\fB(\S+)\\fR", sections(PAGES["ipsec.8"])["COMMANDS"])
    assert listed == SHOWN
    assert set(PAGES) == {"ipsec.8", *(f"ipsec_{name}.8" for name in SHOWN)}


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_is_clean(name: str) -> None:
    """What groff -ww would say: unknown macros, unknown escapes, quotes that do not close, blocks that do not end."""
    lines = PAGES[name].splitlines()
    assert lines[0].startswith(f".TH {name.partition('.')[0].upper()} 8 ")
    assert {line.split()[0] for line in lines if line[:1] in (".", "'")} <= MACROS
    assert set(re.findall(r"\\.", PAGES[name])) <= {r"\-", r"\f", r"\e", r"\&"}
    assert re.sub(r"\\f[BI][^\\]*(\\[-e&][^\\]*)*\\fR", "", PAGES[name]).count("\\f") == 0
    assert PAGES[name].count(".nf") == PAGES[name].count(".fi")
    assert PAGES[name].count(".RS") == PAGES[name].count(".RE")
    assert "``" not in PAGES[name]
    assert not [line for line in lines if line.startswith(".TH") and line.count('"') % 2]
    assert "" not in lines


def test_a_line_of_text_cannot_command_the_formatter() -> None:
    assert [MANUAL._text(line) for line in (".so /etc/passwd", "'br", r"a\b", "``ipsec auto`` does")] == [
        r"\&.so /etc/passwd",
        r"\&'br",
        r"a\eb",
        r"\fBipsec auto\fR does",
    ]


def test_pages_are_written_where_man_looks(tmp_path: Path) -> None:
    assert {path.name for path in MANUAL.write(tmp_path)} == set(PAGES)
    assert (tmp_path / "man8/ipsec_auto.8").read_text() == PAGES["ipsec_auto.8"]
