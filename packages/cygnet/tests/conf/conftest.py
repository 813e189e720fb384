"""Fixtures of the tests of conf/: files that are written and read as on the box of conf_box.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conf_box import BOX, resolve
from cygnet.conf import Configuration, load, load_secrets
from cygnet.connection.local import Local
from cygnet.connection.secret import Secrets

Read = Callable[..., Configuration]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write ipsec.conf (other files too, by keyword-like names) and load it."""

    def read_text(text: str, box: Local = BOX, **others: str) -> Configuration:
        for name, content in others.items():
            (tmp_path / f"{name}.conf").write_text(content)
        path = tmp_path / "ipsec.conf"
        path.write_text(text)
        return load(path, box, resolve)

    return read_text


@pytest.fixture
def read_secrets(tmp_path: Path) -> Callable[[str], Secrets]:
    """Write ipsec.secrets, mode 600, and load it."""

    def read_text(text: str) -> Secrets:
        path = tmp_path / "ipsec.secrets"
        path.write_text(text)
        path.chmod(0o600)
        return load_secrets(path, resolve)

    return read_text


@pytest.fixture
def problem(read: Read) -> Callable[[str], str]:
    """The one sentence that a conn "west" with these lines gets, without the folder's name."""

    def of(lines: str, head: str = "version 2\n") -> str:
        body = "".join(f"\t{line}\n" for line in lines.splitlines())
        found = read(f"{head}conn west\n{body}")
        assert "west" not in found.connections
        [sentence] = found.problems
        return sentence.rpartition("/ipsec.conf:")[2]

    return of
