"""Boxes of site files in QEMU: one, or two whose WANs are joined, each made of a stock image by its site.

What a run leaves is in images/<board>/sites/: the boxes' images, what the consoles said (console_NAME), the capture of
the wire (wan.pcap), junit.xml.  On the wire is a provider, too: QEMU's own network is router, DHCP and name server in
the network of the sites' addresses.
"""

from __future__ import annotations

import fcntl
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from builder import boxes, qemu, sites
from builder.boards import Board, load_board
from builder.errors import CygnetError, RecipeError
from builder.image.rootfs import DEVICE_TREE, FIRMWARE
from builder.plan import Project
from builder.smoke.door import door
from builder.smoke.pairs import CAPTURE, render, target

if TYPE_CHECKING:
    from cygnet_site.model import Site

FOLDER = "sites"
MOST = 2
# As Linux calls the cards of a twin.
CARD = re.compile(r"eth([0-7])")
MAC = "52:54:00:c9:{box:02x}:{card:02x}"
# Documentation addresses (RFC 5737), where no site names an address.
SOMEWHERE = IPv4Network("192.0.2.0/24")
# What an image's folder must have beside it, if the board's twin is started with it.
BESIDE = {"{kernel}": "kernel", "{device-tree}": DEVICE_TREE, "{firmware}": FIRMWARE}


@dataclass(frozen=True)
class Shelf:
    """Boxes that wait to be started. ``image``: the stock image; ``folder``: what is theirs alone."""

    board: Board
    image: Path
    folder: Path
    sites: tuple[Site, ...]

    @property
    def capture(self) -> Path:
        """What is on the wire."""
        return self.folder / CAPTURE

    def disk(self, site: Site) -> Path:
        """A box's image."""
        return self.folder / f"{site.name}.img"


def read(files: Sequence[Path]) -> tuple[Site, ...]:
    """The sites of one or two files. What is wrong with them is said before anything is built."""
    if not files:
        raise CygnetError("no site file is named: give one or two, by --site or in pytest.ini as cygnet_sites")
    if len(files) > MOST:
        raise CygnetError(f"{len(files)} sites are more than {MOST}, the ends of a wire: give one or two")
    found = tuple(sites.read(file) for file in files)
    if len({site.name for site in found}) < len(found):
        raise RecipeError(
            found[1].path, found[1].line("name"), f"{found[0].path} has the same name: rename one of them"
        )
    for site in found:
        boxes.of_site(site)
        _count(site)
    provider_for(found)
    return found


def stock_image(project: Project, board_name: str, image: Path | None) -> tuple[Board, Path]:
    """The board and its stock image: ``image``, or the one that is built for ``board_name``."""
    if not image:
        load_board(project.settings.boards, board_name).need_twin()
        from builder.image.publish import publish

        plan, results = project.build(board_name)
        return plan.board, publish(project, plan, results)
    board = boxes.board_of(project, image)
    words = board.need_twin().arguments
    for mark, name in BESIDE.items():
        if mark in words and not image.with_name(name).is_file():
            raise CygnetError(
                f"{image.with_name(name)} is missing: {board.name} is started with it; fetch it with the image"
            )
    return board, image


@contextmanager
def prepared(project: Project, board: Board, image: Path, found: tuple[Site, ...]) -> Iterator[Shelf]:
    """The boxes of some sites, made and ours alone as long as this lasts."""
    shelf = Shelf(board, image, project.settings.images / board.name / FOLDER, found)
    shelf.folder.mkdir(parents=True, exist_ok=True)
    with (shelf.folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CygnetError(f"another run has the boxes in {shelf.folder} now; wait for it") from None
        for old in [*shelf.folder.glob("console_*"), shelf.capture]:
            old.unlink(missing_ok=True)
        for site in found:
            boxes.check_board(board, site)
            boxes.make(project, board, boxes.of_site(site), image, shelf.disk(site), site.name)
        yield shelf


@contextmanager
def environment(shelf: Shelf) -> Iterator[Path]:
    """Labgrid's environment file of the boxes; each box's target is called as its site."""
    # Not in `folder`: the path of a Unix socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="cygnet-wire-") as sockets:
        here = Path(sockets)
        cards = cards_of(shelf, here)
        targets = [
            target(
                site.name,
                shelf.board,
                qemu.devices(shelf.board, shelf.image.parent, shelf.disk(site), cards[site.name]),
            )
            for site in shelf.sites
        ]
        file = shelf.folder / "labgrid.yaml"
        render(targets, [], file)
        with door(*door_ends(here)):
            yield file


def door_ends(sockets: Path) -> tuple[tuple[Path, Path], tuple[Path, Path]]:
    """Of the door's sides, wire and provider, its own end and QEMU's."""
    side = {name: (sockets / f"door.{name}", sockets / f"qemu.{name}") for name in ("wire", "provider")}
    return side["wire"], side["provider"]


def cards_of(shelf: Shelf, sockets: Path) -> dict[str, list[qemu.Card]]:
    """The cards of each box by its name: as many as its site speaks of, the WAN's on the wire."""
    provider = provider_for(shelf.sites)
    ends = [sockets / site.name for site in shelf.sites]
    return {
        site.name: [
            _wan(number, card, ends, provider, shelf.capture, sockets)
            if site.wan and site.wan.interface == f"eth{card}"
            else qemu.unplugged(f"card{card}", _mac(number, card), card)
            for card in range(_count(site))
        ]
        for number, site in enumerate(shelf.sites)
    }


def _wan(box: int, card: int, ends: Sequence[Path], provider: str, capture: Path, sockets: Path) -> qemu.Card:
    """The first box's card sees all that is on the wire, and brings the provider."""
    name, mac = f"card{card}", _mac(box, card)
    if len(ends) == 1:
        return qemu.Card(name, mac, provider, capture)
    here, there = ends if box == 0 else reversed(ends)
    if box == 0:
        (door_wire, our_wire), (door_provider, our_provider) = door_ends(sockets)
        wires = (qemu.wire(here, there), qemu.wire(our_wire, door_wire))
        return qemu.joined_wire_end(name, mac, wires, (provider, qemu.wire(our_provider, door_provider)), capture)
    return qemu.wire_end(name, mac, here, there)


def _count(site: Site) -> int:
    """How many cards a box needs: two at least, as a box without a site has."""
    numbers = [1]
    for at, port in boxes.ports(site):
        if not (found := CARD.fullmatch(port.interface)):
            where = site.line(*at, "interface")
            raise RecipeError(
                site.path, where, f"in QEMU there is no card {port.interface}: they are eth0, eth1 to eth7"
            )
        numbers.append(int(found[1]))
    return max(numbers) + 1


def _mac(box: int, card: int) -> str:
    return MAC.format(box=box + 0x10, card=card + 1)


def provider_for(found: Sequence[Site]) -> str:
    """QEMU's own network as the provider of these sites, in the network of their fixed addresses."""
    fixed = [(site, site.wan.address) for site in found if site.wan and isinstance(site.wan.address, IPv4Interface)]
    network = fixed[0][1].network if fixed else SOMEWHERE
    for site, address in fixed:
        if address.network != network:
            first = f"{fixed[0][1]} of {fixed[0][0].path}"
            told = f"{address} is in another network than {first}, and here no router is between them"
            raise RecipeError(site.path, site.line("wan", "address"), told)
    routers = [site.wan.gateway for site, _ in fixed if site.wan and site.wan.gateway]
    taken = {*routers, *(address.ip for _, address in fixed)}
    free = list(islice((address for address in network.hosts() if address not in taken), 3))
    if len(free) < 3:
        told = (
            f"{network} is too small for a router, a name server and a DHCP server beside these boxes; test with a /28"
        )
        raise RecipeError(fixed[0][0].path, fixed[0][0].line("wan", "address"), told)
    router = routers[0] if routers else free.pop(0)
    return f"user,ipv6=off,net={network},host={router},dns={free[0]},dhcpstart={free[1]}"
