"""Boxes of one's own: which board an image is for, which cards a site may speak of, what its box gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder import boxes, sites
from builder.boards import load_board
from builder.errors import CygnetError
from builder.image.data import SEED
from builder.image.header import write_beside
from builder.plan import Project
from builder.progress import Lines
from builder.settings import PROJECT, settings

SITE = (
    """format = 1
name = "shop1"
[wan]
interface = "eth0"
vlan = 7
[[lan]]
interface = "eth1"
address = "192.168.77.1/24"
[ipsec]
config = """
    + '"""'
    + """
conn hub
    left=%defaultroute
    right=192.0.2.1
    authby=secret
    auto=start
"""
    + '"""'
    + """
secrets = [{ file = "shop1.secrets" }]
"""
)
CARDS = {
    "pc486": "",
    "kirkwood": r"site\.toml:7: board kirkwood has no network card eth1: it has eth0$",
    "mt7621": r"site\.toml:4: board mt7621 has no network card eth0: it has wan and lan$",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "shop1.secrets").write_text(': PSK "nobody guesses this"\n')
    (tmp_path / "shop1.secrets").chmod(0o600)
    file = tmp_path / "site.toml"
    file.write_text(SITE)
    return file


@pytest.mark.parametrize("name", CARDS)
def test_a_card_that_the_board_has_not_is_named_with_its_line(site: Path, name: str) -> None:
    board, here = load_board(PROJECT / "board", name), sites.read(site)
    if not CARDS[name]:
        boxes.check_board(board, here)
        return
    with pytest.raises(CygnetError, match=CARDS[name]):
        boxes.check_board(board, here)


@pytest.mark.parametrize(("name", "there"), [("armv7", True), ("pc486", False)])
def test_an_image_that_cannot_check_signatures_is_named(site: Path, name: str, there: bool) -> None:
    site.write_text(SITE + '[dns]\ndnssec = "box"\n')
    board, here = load_board(PROJECT / "board", name), sites.read(site)
    if there:
        boxes.check_board(board, here)
        return
    with pytest.raises(CygnetError, match=r"site\.toml:19: unbound, which .* is not in pc486's image: take it out"):
        boxes.check_board(board, here)


def test_what_the_box_of_a_site_gets(site: Path) -> None:
    files = boxes.of_site(sites.read(site))
    assert files["etc/hostname"].content == b"shop1\n"
    assert (files["etc/ipsec.secrets"].mode, files[SEED].mode) == (0o600, 0o400)
    assert b"nobody guesses this" in files["etc/ipsec.secrets"].content
    assert not [name for name, file in files.items() if b"nobody guesses" in file.content and file.mode != 0o600]


def test_a_secret_that_is_not_there_is_said_before_anything_is_made(site: Path) -> None:
    site.with_name("shop1.secrets").unlink()
    with pytest.raises(CygnetError, match=r"site\.toml:17: .*shop1\.secrets"):
        boxes.of_site(sites.read(site))


def test_an_image_says_which_board_it_is_for(tmp_path: Path) -> None:
    project, image = Project(settings(), Lines()), tmp_path / "ubi.img"
    image.write_bytes(b"UBI#")
    write_beside(image, "kirkwood")
    assert boxes.board_of(project, image).name == "kirkwood"
    write_beside(image, "kirkwod")
    with pytest.raises(
        CygnetError, match=r"ubi\.img is for another board than we have\. No board is called 'kirkwod'; did"
    ):
        boxes.board_of(project, image)
