"""The installer of a board is told what to write, on a simulated one: what ends well, and what the disk is when it does not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cards import SIZE, make_image
from simulated_installer import Simulated
from test_console import HASTY, PATIENT

from builder.boards import load_board
from builder.errors import CygnetError
from builder.flash.block_layout import MARK
from builder.flash.console.line import Line
from builder.flash.console.patience import Patience
from builder.flash.console.prompt import Prompt
from builder.flash.console.pxe.contents import Contents, contents
from builder.flash.console.pxe.installer import Installer
from builder.flash.console.pxe.start import INSTALLER
from builder.flash.console.pxe.writing import Disk, Writing, disks
from builder.flash.image import Image, opened
from builder.image.layout import MIB
from builder.settings import PROJECT

TOKEN = "0123456789abcdef"  # noqa: S105
PC = load_board(PROJECT / "board", "pc486")


class Scene:
    """An image, the installer that was made of it, and the board that runs it."""

    def __init__(self, image: Image, what: Contents, keep_data: bool, log: Path, size: int) -> None:
        self.image, self.keep_data, self._log = image, keep_data, log
        self.installer = Installer({}, what, TOKEN)
        self.board = Simulated(self.installer.contents.files, TOKEN, size)
        self.told: list[str] = []

    @property
    def holds_it(self) -> bool:
        """Whether the disk is what the image is."""
        return bytes(self.board.disk[:SIZE]) == self.image.read(0, SIZE)

    def write(self, patience: Patience = PATIENT) -> None:
        """All of it."""
        with self.board, Line(self.board.url, 115200, self._log) as line:
            prompt = Prompt(line, INSTALLER, patience, terminal=True)
            writing = Writing(PC, line, prompt, self.image, self.installer, patience, self.told.append)
            writing.run(self.keep_data)
            writing.restart()
            end = time.monotonic() + 60
            while self.board.commands[-1] != "reboot -f":
                assert time.monotonic() < end
                time.sleep(0.01)

    def fails(self) -> str:
        """What is said."""
        with pytest.raises(CygnetError) as raised:
            self.write(HASTY)
        text = str(raised.value)
        assert "\n" not in text
        assert TOKEN not in text
        return text


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_image(tmp_path_factory.mktemp("image") / "new.img", 2)


@pytest.fixture(scope="module")
def packed(file: Path) -> dict[bool, Contents]:
    with opened(PC, file) as image:
        return {keep_data: contents(image, keep_data) for keep_data in (False, True)}


@pytest.fixture(params=[False])
def scene(request: pytest.FixtureRequest, file: Path, packed: dict[bool, Contents], tmp_path: Path) -> Iterator[Scene]:
    with opened(PC, file) as image:
        yield Scene(image, packed[request.param], request.param, tmp_path / "log", SIZE + MIB)


keeping = pytest.mark.parametrize("scene", [True], indirect=True)


def test_an_empty_disk_holds_the_image(scene: Scene) -> None:
    scene.write()
    assert scene.holds_it
    assert scene.told[0] == "its disk is sda: SanDisk SDCFB-64, 6 MB; on it: sda1 1 MB, sda2 2 MB"
    assert scene.told[-1].startswith("read back: ")


def test_what_was_there_gives_way_also_to_zeros(scene: Scene) -> None:
    scene.board.disk[:] = b"\xff" * len(scene.board.disk)
    scene.write()
    assert scene.holds_it
    # Behind the image's end it stays.
    assert scene.board.disk[SIZE:] == b"\xff" * MIB


def test_the_token_comes_before_anything_is_written(scene: Scene) -> None:
    scene.write()
    typed = scene.board.commands
    puts = [command for command in typed if command.startswith("put")]
    assert typed[1] == f"unlock {TOKEN} sda"
    assert typed[2] == puts[0] == "put mark 0"
    assert puts[-2:] == ["put edge 0", "put first 0"]


def test_an_installer_of_another_run_is_not_written_by(scene: Scene) -> None:
    scene.installer = replace(scene.installer, token="f" * 16)
    assert "another run; nothing on its disk was changed" in scene.fails()
    assert not any(scene.board.disk)


def test_a_noisy_line(scene: Scene) -> None:
    scene.board.noise = 0.003
    scene.write()
    assert scene.holds_it


@pytest.mark.parametrize("at", ["disks", "unlock", "put mark", "put p0", "sum", "forget", "put edge", "put first"])
def test_it_goes_on_after_the_line_dropped(scene: Scene, at: str) -> None:
    scene.board.hang_up_at = at
    scene.write()
    assert scene.holds_it
    assert any("the line dropped" in line for line in scene.told)


@pytest.mark.parametrize("at", ["put p0", "zero", "put edge"])
def test_a_write_that_fails_leaves_a_disk_that_does_not_start(scene: Scene, at: str) -> None:
    scene.board.refuse_at = at
    assert "I/O error; sda is half written and does not start; the same command begins anew" in scene.fails()
    assert scene.board.disk.startswith(MARK)


def test_what_reads_back_otherwise_is_told(scene: Scene) -> None:
    scene.board.spoil = 3
    assert "its disk holds something else than was written" in scene.fails()
    assert not scene.holds_it


def test_a_disk_that_is_too_small(scene: Scene) -> None:
    scene.board.disk = scene.board.disk[: SIZE - MIB]
    assert "is too small: the image has 5 MB (1,048,576 bytes more); nothing on its disk was changed" in scene.fails()
    assert not any(scene.board.disk)


def test_no_disk(scene: Scene) -> None:
    scene.board.disk = bytearray()
    assert "it has no disk: is there a card in it?" in scene.fails()


def test_a_board_that_hangs(scene: Scene) -> None:
    scene.board.hang_at = "put p1"
    assert "it has said nothing more since `put`; sda is half written" in scene.fails()


@keeping
def test_data_stays(scene: Scene) -> None:
    scene.board.disk[:SIZE] = scene.image.read(0, SIZE)
    start, size = scene.image.header.data_start, scene.image.header.data_size
    scene.board.disk[start + 4096 : start + 8192] = b"\x5a" * 4096
    data = bytes(scene.board.disk[start : start + size])
    scene.write()
    assert bytes(scene.board.disk[start : start + size]) == data
    assert bytes(scene.board.disk[:start]) == scene.image.read(0, start)


@keeping
def test_data_of_another_disk_is_not_kept(scene: Scene) -> None:
    scene.board.disk[:] = b"\xff" * len(scene.board.disk)
    assert "--keep-data: sda of the board is no Cygnet card of pc486" in scene.fails()
    assert set(scene.board.disk) == {0xFF}


def test_the_first_disk_is_taken_and_others_are_named() -> None:
    said = "disk=sda sectors=125440 parts= model=\r\ndisk=sdb sectors=8192 parts=sdb1:8191 model=Card  \r\n"
    assert disks(said) == [Disk("sda", 125440 * 512, "", ""), Disk("sdb", 8192 * 512, "sdb1 4 MB", "Card")]
    assert disks("sh: disks: not found") == []
