"""A folder with a site file in it, and what the file names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cygnet_site import SiteError, read_site
from cygnet_site.check import problems
from cygnet_site.model import Site

HEAD = 'format = 1\nname = "shop1"\n'


@pytest.fixture
def site(tmp_path: Path) -> Callable[..., Site]:
    """Reads a site: what stands below ``format`` and ``name``, from line 3 on, or a text with a format of its own."""

    def read(text: str) -> Site:
        file = tmp_path / "shop1.toml"
        file.write_text(text if "format =" in text else HEAD + text)
        return read_site(file)

    return read


@pytest.fixture
def wrong(site: Callable[..., Site], tmp_path: Path) -> Callable[..., list[str]]:
    """What reading and checking say of it, without the folder before the names of files."""

    def told(text: str) -> list[str]:
        try:
            found = problems(site(text))
        except SiteError as error:
            found = error.problems
        return [line.replace(f"{tmp_path}/", "") for line in found]

    return told


@pytest.fixture
def secret(tmp_path: Path) -> Callable[..., Path]:
    """A file beside the site file, only its owner's unless told."""

    def write(name: str, text: str, mode: int = 0o600) -> Path:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    return write
