"""A Cygnet box on the street: the stock image of BOARD as a user has it, in QEMU, driven as tests/acceptance does.

Nothing of the image is changed: QEMU keeps what the box writes to itself.
"""

from __future__ import annotations

from pathlib import Path

from gateways import IN_TIME, CygnetGateway
from keying import write
from labgrid import Environment
from offices import Side, add_host, settle, wan_of
from swanctl_config import End

import builder.smoke.eager_qemu  # noqa: F401 - registers its driver
from builder import qemu
from builder.boards import load_board
from builder.settings import settings
from builder.smoke.box import Box
from builder.smoke.pairs import render, target

BOARD = "pc486"
UNUSED_CARD = "52:54:00:c9:0c:0f"


def make_box(name: str, card: qemu.Card, folder: Path) -> Box:
    """A box with a card on the street, not started yet."""
    board = load_board(settings().boards, BOARD)
    images = settings().images / BOARD
    assert (images / "disk.img").is_file(), f"{images / 'disk.img'} is not there: ./inv build makes it"
    devices = qemu.devices(board, images, images / "disk.img", [card, qemu.unplugged("lan", UNUSED_CARD)])
    file = folder / "labgrid.yaml"
    render([target(name, board, [*devices, "-snapshot"])], [], file)
    return Box(name, Environment(str(file)).get_target(name))


class CygnetBox(CygnetGateway):
    """The daemon on the box; hosts behind it are in a network namespace there."""

    def __init__(self, box: Box, end: End) -> None:
        super().__init__(box, end)
        self.side = Side(box, 1)
        self.host = self.side.host

    def set_addresses(self, *others: End) -> None:
        box, wan = self.machine, wan_of(self.machine)
        box.run("sv down /run/service/udhcpc")
        box.all_of(
            f"sysctl -q -w net.ipv6.conf.{wan}.disable_ipv6=1",
            f"ip address flush dev {wan}",
            f"ip address add {self.end.address}/24 dev {wan}",
            f"ip link set {wan} up",
        )
        settle(self.side)
        first, *rest = others
        add_host(self.side, Side(box, int(first.address.rpartition(".")[2])))
        for other in rest:
            box.text(f"ip route add {other.network} via {other.address} dev {wan} metric 500")

    def write(self, file: str, content: str) -> None:
        write(self.machine, file, content)

    def ping(self, source: str, to: str, count: int, options: str = "") -> str:
        command = f"ping -c {count} -W 5 -I {source} {options} {to}"
        return (self.side.at_host if source == self.host else self.machine.run)(command, IN_TIME)[0]
