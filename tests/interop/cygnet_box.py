"""A Cygnet box on the street: the stock image of CI_BOARD as a user has it, in QEMU, driven as tests/acceptance does.

Nothing of the image is changed: QEMU keeps what the box writes to itself.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import eager_qemu  # noqa: F401 - registers its driver
import jinja2
from box import Box
from gateways import IN_TIME, CygnetGateway
from keying import write
from labgrid import Environment
from offices import Side, add_host, wan_of
from swanctl_config import End

from builder import qemu
from builder.boards import load_board
from builder.settings import VERSION, settings
from builder.smoke import CI_BOARD, LOGIN_TIMEOUT, TEMPLATE

UNUSED_CARD = "52:54:00:c9:0c:0f"


def make_box(name: str, card: qemu.Card, capture: Path, folder: Path) -> Box:
    """A box with a card on the street, not started yet."""
    board = load_board(settings().boards, CI_BOARD)
    image = settings().images / CI_BOARD / "disk.img"
    assert image.is_file(), f"{image} is not there: ./inv build makes it"
    machine, cpu = qemu.model(board)
    devices = [*qemu.devices(board, image, [card, qemu.unplugged("lan", UNUSED_CARD)]), "-snapshot"]
    template = jinja2.Template(
        (board.folder / TEMPLATE).read_text(), undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    file = folder / "labgrid.yaml"
    file.write_text(
        template.render(
            board=board, boxes=[{"name": name, "devices": shlex.join(devices)}], machine=machine, cpu=cpu,
            program=str(qemu.program(board)), version=VERSION, capture=str(capture), login_timeout=LOGIN_TIMEOUT,
        )
    )  # fmt: skip
    return Box(Environment(str(file)).get_target(name))


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
        first, *rest = others
        add_host(self.side, Side(box, int(first.address.rpartition(".")[2])))
        for other in rest:
            box.text(f"ip route add {other.network} via {other.address} dev {wan} metric 500")

    def write(self, file: str, content: str) -> None:
        write(self.machine, file, content)

    def ping(self, source: str, to: str, count: int, options: str = "") -> str:
        command = f"ping -c {count} -W 5 -I {source} {options} {to}"
        return (self.side.at_host if source == self.host else self.machine.run)(command, IN_TIME)[0]
