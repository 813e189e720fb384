"""On the box: a site file becomes its files, all of them or none."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cygnet_site.__main__ import main

SITE = """format = 1
name = "shop1"
[wan]
interface = "eth0"
address = "pppoe"
[wan.pppoe]
user = "a@isp"
password = { file = "password" }
[[lan]]
interface = "eth1"
address = "192.168.77.1/24"
dhcp = "192.168.77.100-192.168.77.199"
[[lan.lease]]
mac = "52:54:00:12:34:56"
address = "192.168.77.10"
[ssh]
keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me"]
"""
DHCP = (
    'format = 1\nname = "shop1"\n[wan]\ninterface = "eth0"\n[[lan]]\ninterface = "eth1"\naddress = "192.168.77.1/24"\n'
)
Secret = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: Secret) -> Path:
    secret("password", "hunter2\n")
    box = tmp_path / "box"
    (box / "etc/cygnet").mkdir(parents=True)
    (box / "etc/hostname").write_text("cygnet\n")
    (box / "root").mkdir(mode=0o700)
    monkeypatch.setenv("CYGNET_ROOT", str(box))
    return box


@pytest.fixture
def apply(tmp_path: Path) -> Callable[[str], int]:
    def run(text: str, action: str = "apply") -> int:
        file = tmp_path / "site.toml"
        file.write_text(text)
        return main([action, str(file)])

    return run


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_box_gets_its_files(root: Path, apply: Callable[[str], int]) -> None:
    assert apply(SITE) == 0
    found = tree(root)
    assert found["etc/hostname"] == b"shop1\n"
    assert found["etc/cygnet/pppoe"] == b"a@isp\nhunter2\n"
    assert "etc/cygnet/firewall.rules/rules.v6" in found
    modes = {name: (root / name).stat().st_mode & 0o777 for name in ("etc/cygnet/pppoe", "etc/TZ", "root/.ssh")}
    assert modes == {"etc/cygnet/pppoe": 0o600, "etc/TZ": 0o644, "root/.ssh": 0o700}
    assert apply(SITE) == 0
    assert tree(root) == found


def test_what_a_site_says_no_more_is_gone(root: Path, apply: Callable[[str], int]) -> None:
    """But keys and connections may be somebody's work."""
    assert apply(SITE) == 0
    (root / "etc/ipsec.conf").write_text("# mine\n")
    assert apply(DHCP) == 0
    left = tree(root)
    assert "etc/cygnet/pppoe" not in left and "etc/cygnet/leases" not in left
    assert left["etc/ipsec.conf"] == b"# mine\n" and "root/.ssh/authorized_keys" in left


def test_check_touches_nothing(root: Path, apply: Callable[..., int]) -> None:
    before = tree(root)
    assert apply(SITE, "check") == 0
    assert tree(root) == before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SITE.replace("eth1", "eth0"), "site.toml:10: eth0 is in use already, at line 4: take another card or vlan\n"),
        (SITE.replace('"password"', '"none"'), "none: there is no such file"),
        (SITE + '[firewall]\npolicy = "zone wan $WAN"', "it locks any zone out"),
    ],
)
def test_a_wrong_file_changes_nothing(
    root: Path, apply: Callable[[str], int], capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    before = tree(root)
    assert apply(text) == 1
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1 and "hunter2" not in said
    assert tree(root) == before


@pytest.mark.parametrize("fails_at", range(1, 10, 3))
def test_a_full_disk_changes_nothing(
    root: Path, apply: Callable[[str], int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    fails_at: int,
) -> None:  # fmt: skip
    assert apply(DHCP) == 0
    before = tree(root)
    calls = 0

    def full(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert apply(SITE) == 1
    assert capsys.readouterr().err.endswith(": cannot be written: No space left on device; nothing is changed\n")
    assert tree(root) == before


@pytest.mark.parametrize("words", [[], ["apply"], ["check", "a", "b"], ["remove", "a"]])
def test_a_wrong_call(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err == "usage: python3 -m cygnet_site apply|check FILE\n"
