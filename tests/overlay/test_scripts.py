"""The overlay as a whole: every script parses and lints, every template renders, the manifest is sane."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import jinja2
import pytest
from scratch import OVERLAY, SHELLS

VARIABLES = {
    "board": {"name": "pc486", "description": "a test board", "console": {"device": "ttyS0", "speed": 115200}},
    "version": "1.2.3",
    "epoch": 1_700_000_000,
}


def is_shell(path: Path) -> bool:
    if path.suffix == ".sh" or path.name == "profile":
        return True
    return path.is_file() and path.read_bytes().startswith(b"#!/bin/sh")


FILES = sorted(path for path in OVERLAY.rglob("*") if path.is_file())
INV = OVERLAY.parent / "inv"
UPDOWN = OVERLAY.parent / "packages/cygnet/src/cygnet/updown/_updown"
SCRIPTS = [path for path in FILES if is_shell(path)]
TEMPLATES = [path for path in FILES if path.suffix == ".j2"]
PROGRAMS = [path for path in SCRIPTS if path.suffix != ".sh" and path.name != "profile"]


def name_of(path: Path) -> str:
    return str(path.relative_to(OVERLAY))


def manifest() -> dict[str, dict[str, str]]:
    return tomllib.loads((OVERLAY / "manifest.toml").read_text())


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[-1])
@pytest.mark.parametrize("script", SCRIPTS, ids=name_of)
def test_the_shell_accepts_the_script(script: Path, shell: tuple[str, ...]) -> None:
    result = subprocess.run([*shell, "-n", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("script", [*SCRIPTS, INV, UPDOWN], ids=lambda script: script.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    result = subprocess.run(
        [Path(sys.executable).with_name("shellcheck"), "--shell=sh", script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("script", PROGRAMS, ids=name_of)
def test_a_script_with_a_first_line_is_executable(script: Path) -> None:
    assert script.stat().st_mode & 0o111


@pytest.mark.parametrize("template", TEMPLATES, ids=name_of)
def test_a_template_renders_and_leaves_nothing_over(template: Path) -> None:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    text = environment.from_string(template.read_text()).render(**VARIABLES)
    assert "{{" not in text
    assert text.endswith("\n")


def test_every_service_keeps_its_run_state_in_ram() -> None:
    services = {path.parent.name for path in (OVERLAY / "etc/sv").glob("*/run")}
    links = manifest()["links"]
    assert {f"etc/sv/{name}/supervise": f"/run/sv/{name}" for name in services}.items() <= links.items()


def test_manifest_names_no_file_twice_and_no_file_that_is_not_there() -> None:
    tables = manifest()
    assert set(tables) == {"directories", "links", "modes"}
    for path in [*tables["directories"], *tables["links"]]:
        assert not (OVERLAY / path).exists(), path
    for path in tables["modes"]:
        assert (OVERLAY / path).exists() or (OVERLAY / f"{path}.j2").exists(), path


def test_only_the_password_file_is_secret_and_only_root_has_no_password() -> None:
    assert manifest()["modes"]["etc/shadow"] == "0600"
    accounts = [line.split(":") for line in (OVERLAY / "etc/shadow").read_text().splitlines()]
    assert [account[0] for account in accounts if account[1] == ""] == ["root"]


def test_what_inittab_starts_is_there() -> None:
    for line in (OVERLAY / "etc/inittab.j2").read_text().splitlines():
        command = line.split(":", 3)[-1].split()[0] if line and not line.startswith("#") else ""
        if command.startswith("/usr/lib/cygnet/"):
            assert (OVERLAY / command.lstrip("/")).stat().st_mode & 0o111, line
