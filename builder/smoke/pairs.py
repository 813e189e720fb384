"""Two boxes on one wire: their images, their QEMUs' cards, and the environment file by which labgrid starts them."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from builder import qemu
from builder.boards import Board
from builder.image.data import of_box
from builder.image.provision import make_box
from builder.image.publish import publish
from builder.plan import Project
from builder.settings import VERSION

TEMPLATE = Path(__file__).with_name("labgrid.yaml.j2")
FOLDER = "acceptance"
CAPTURE = "wan.pcap"
BOXES = ("box-a", "box-b")
MACS = {"box-a": "52:54:00:c9:0a", "box-b": "52:54:00:c9:0b"}
# Not a figure to reach: when to give up on a busy machine.
LOGIN_TIMEOUT = 180


@dataclass(frozen=True)
class Pair:
    """The boards of both boxes, and the folder with what is theirs alone. ``images``: where images are published.

    ``stock``: the image that both boxes were made from, where that is not the published one of their board.
    """

    boards: tuple[Board, Board]
    images: Path
    stock: Path | None = None

    @property
    def name(self) -> str:
        """The board's name; of different boards both."""
        a, b = (board.name for board in self.boards)
        return a if a == b else f"{a}+{b}"

    @property
    def folder(self) -> Path:
        """Images of the boxes, capture, what the consoles said."""
        return self.images / self.boards[0].name / (FOLDER if "+" not in self.name else f"{FOLDER}-{self.name}")

    def beside(self, board: Board) -> Path:
        """The folder with kernel, device tree and firmware that a box is started with."""
        return self.stock.parent if self.stock else self.images / board.name

    def boxes(self) -> Iterator[tuple[str, Board]]:
        """Each box's name and board."""
        return zip(BOXES, self.boards, strict=True)

    def wire(self, sockets: Path) -> dict[str, Path]:
        """The sockets by which each box takes what comes over the wire."""
        return {box: sockets / f"{self.name}.{box}" for box in BOXES}

    def cards(self, sockets: Path) -> dict[str, list[qemu.Card]]:
        """The cards of each box: WANs joined to each other and recorded, LANs unplugged."""
        found = {}
        for name, other in zip(BOXES, reversed(BOXES), strict=True):
            capture = self.folder / CAPTURE if name == BOXES[0] else None
            here, there = (self.wire(sockets)[box] for box in (name, other))
            wan = qemu.wire_end("wan", f"{MACS[name]}:01", here, there, capture)
            found[name] = [wan, qemu.unplugged("lan", f"{MACS[name]}:02")]
        return found


def build_pair(project: Project, names: Sequence[str]) -> Pair:
    """Build the image of both boards and make a box of each; each has a seed of its own."""
    stock: dict[str, tuple[Board, Path]] = {}
    for name in dict.fromkeys(names):
        plan, results = project.build(name)
        qemu.program(plan.board)
        stock[name] = (plan.board, publish(project, plan, results))
    first, second = (stock[name] for name in names)
    return _make(project, Pair((first[0], second[0]), project.settings.images), (first[1], second[1]))


def pair_of(project: Project, board: Board, image: Path) -> Pair:
    """Two boxes of a stock image that is there already."""
    qemu.program(board)
    return _make(project, Pair((board, board), project.settings.images, image), (image, image))


def _make(project: Project, pair: Pair, images: Sequence[Path]) -> Pair:
    """The images of a pair's boxes."""
    project.progress.say(f"making two boxes in {pair.folder}")
    shutil.rmtree(pair.folder, ignore_errors=True)
    pair.folder.mkdir(parents=True)
    for (box, board), image in zip(pair.boxes(), images, strict=True):
        make_box(board, of_box(box), image, pair.folder / f"{box}.img", project.tools(), pair.folder / "make-boxes.log")
    return pair


def targets(pairs: Sequence[Pair], sockets: Path) -> list[dict[str, object]]:
    """The boxes of all pairs that have a twin, as the environment file's template takes them."""
    return [
        target(
            f"{pair.name}-{box}",
            board,
            qemu.devices(board, pair.beside(board), pair.folder / f"{box}.img", cards),
        )
        for pair in pairs
        for (box, board), cards in zip(pair.boxes(), pair.cards(sockets).values(), strict=True)
        if board.qemu
    ]


def target(name: str, board: Board, devices: Sequence[str]) -> dict[str, object]:
    """One box, with the rest of its QEMU's command line. labgrid wants kernel and command line by themselves."""
    words = list(devices)
    kernel, append = _taken(words, "-kernel"), _taken(words, "-append")
    return {
        "target": name,
        "board": board,
        "program": str(qemu.program(board)),
        "model": qemu.model(board),
        "devices": shlex.join(words),
        "kernel": kernel,
        "append": append,
    }


def render(boxes: Sequence[dict[str, object]], pairs: Sequence[Pair], to: Path, sockets: Path = Path()) -> None:
    """Write labgrid's environment file of some boxes, and of the pairs that they make; ``sockets``: their folder."""
    text = jinja2.Template(TEMPLATE.read_text(), undefined=jinja2.StrictUndefined, trim_blocks=True).render(
        boxes=boxes,
        pairs=[_facts(pair, sockets) for pair in pairs],
        version=VERSION,
        login_timeout=LOGIN_TIMEOUT,
    )
    to.write_text(text + "\n")


def _taken(words: list[str], option: str) -> str:
    """Take an option out of a command line; its value."""
    if option not in words:
        return ""
    place = words.index(option)
    _, value = words[place : place + 2]
    del words[place : place + 2]
    return value


def _facts(pair: Pair, sockets: Path) -> dict[str, object]:
    return {
        "name": pair.name,
        "boards": [board.name for board in pair.boards],
        "hardware-watchdogs": [board.hardware_watchdog for board in pair.boards],
        "capture": str(pair.folder / CAPTURE),
        "wire": {box: str(end) for box, end in pair.wire(sockets).items()},
    }
