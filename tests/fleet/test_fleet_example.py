"""The example of docs/fleet.md, by the commands that stand there; its boxes are what those who read their files take."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fleet_scene import Told

from builder import boxes, sites
from builder.fleet import images
from builder.settings import PROJECT

EXAMPLE = PROJECT / "docs/examples/fleet"
GUIDE = (PROJECT / "docs/fleet.md").read_text()
BOXES = ["graz", "linz", "vienna", "zurich"]
# An ed25519 key whose private half nobody has.
OPERATOR = b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes(range(32))


def command(name: str) -> list[str]:
    """The first command of the guide that has this option."""
    found = re.search(rf"^    \./inv (fleet --table=.*{name}.*)$", GUIDE, re.MULTILINE)
    assert found, name
    return [sys.executable, "-P", "-m", "invoke", "--search-root", str(PROJECT), *found[1].split()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("example") / "work"
    shutil.copytree(EXAMPLE, folder)
    (folder / "operators.pub").write_text(f"ssh-ed25519 {base64.b64encode(OPERATOR).decode()} ops\n")
    for option, typed in (("--new-key=", "pass\npass\n"), ("--open=", "pass\n")):
        words = [word.replace("--open=graz", "--open") for word in command(option)]
        done = subprocess.run(words, cwd=folder, input=typed, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return folder


def test_the_guide_names_what_is_made(folder: Path) -> None:
    for name in ("graz/site.toml", "graz/tunnels.conf", "keys/graz.rsa", "keys/linz.vienna.psk", "public.conf",
                 "public.zone", "vienna/spokes/graz.conf", "graz/ipsec.secrets"):  # fmt: skip
        assert (folder / "fleet" / name).exists()


@pytest.mark.parametrize("box", BOXES)
def test_a_box_of_the_example_can_be_made(folder: Path, box: str) -> None:
    """What firewall, iptables and the reader of ipsec.conf say of it, its tunnels and secrets included."""
    site = sites.read(folder / f"fleet/{box}/site.toml")
    assert sites.problems(site) == []
    assert {"etc/ipsec.d/tunnels.conf", "etc/ipsec.secrets", "root/.ssh/authorized_keys"} <= sites.render(site).keys()


def test_an_image_is_made_again_only_if_it_would_be_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def make(_project: object, _board: object, files: object, _stock: Path, to: Path, name: str) -> None:
        made.append(name)
        to.write_text(str(files))

    monkeypatch.setattr(boxes, "make", make)
    monkeypatch.setattr(boxes, "board_of", lambda *_: None)
    monkeypatch.setattr(boxes, "check_board", lambda *_: None)
    monkeypatch.setattr(images, "Project", lambda *_: None)
    stock = folder / "disk.img"
    stock.touch()
    shown = Told()
    run = lambda: images.make(folder / "fleet", ["graz", "linz"], stock, shown)  # noqa: E731
    run()
    run()
    assert made == ["graz", "linz"]
    with (folder / "fleet/linz/ipsec.secrets").open("a") as file:
        file.write("# changed\n")
    run()
    assert made == ["graz", "linz", "linz"]
    os.utime(stock, (1, 1))
    run()
    assert made == ["graz", "linz", "linz", "graz", "linz"]
