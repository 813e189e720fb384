"""A board that starts from its network by PXE, and is written by what it loads there.

`dhcp` gives it an address, TFTP (builder/flash/console/tftp.py) gives it what `installer` makes out of the image:
GRUB, the image's kernel, and an initramfs (`cpio`) with the image in parts (`contents`) and the script init.sh.
`start` watches it, `writing` tells the installer over the serial line what to do.  By itself that does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.boards import Board
from builder.errors import CygnetError
from builder.flash.console.line import Line
from builder.flash.console.patience import Patience
from builder.flash.console.pxe import dhcp
from builder.flash.console.pxe.installer import LOADER, make
from builder.flash.console.pxe.start import Served, Start
from builder.flash.console.pxe.writing import Writing
from builder.flash.console.tftp import Server
from builder.flash.console.transfer import Network, network
from builder.flash.image import opened
from builder.flash.options import Console, Options
from builder.plan import Project
from builder.progress import Lines
from builder.settings import settings


@contextmanager
def served(
    board: Board, path: Path, options: Options, patience: Patience, say: Callable[[str], None], port: int
) -> Iterator[Callable[[Line], None]]:
    """The servers run; what is given back writes the image on a board that starts from its network, and restarts it."""
    with opened(board, path) as image:
        addresses, card = _network(options.console)
        answers = dhcp.Answers(addresses, LOADER, options.console.mac)
        installer = make(board, image, options.keep_data, _tools(), settings().logs / "installer.log")
        with (
            dhcp.Server(answers, addresses.listen, card),
            Server(str(addresses.listen), str(addresses.board.ip), port) as tftp,
        ):
            tftp.offer(installer.files)

            def go(line: Line) -> None:
                to_be = Served(answers, tftp, str(addresses.board.ip), card)
                prompt = Start(line, to_be, patience, say).prompt()
                writing = Writing(board, line, prompt, image, installer, patience, say)
                writing.run(options.keep_data)
                writing.restart()

            yield go


def _network(wishes: Console) -> tuple[Network, str]:
    """The addresses, and the card where the board is heard."""
    addresses = network(wishes)
    card = dhcp.card_towards(addresses.board.ip)
    if not card:
        raise CygnetError(
            f"this machine has no network card in {addresses.board.network}, where the board would ask: give one an "
            "address there, or name another place with --address="
        )
    return addresses, card


def _tools() -> Path:
    return Project(settings(), Lines()).tools()
