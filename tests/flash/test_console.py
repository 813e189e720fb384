"""A board flashed over its console: by a simulated U-Boot with a line as bad as it gets, without QEMU."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from simulated_uboot import Board as Simulated

from builder.boards import Board, load_board
from builder.errors import CygnetError
from builder.flash import console
from builder.flash.console.patience import Patience
from builder.flash.options import Console, Options
from builder.image.header import write_header
from builder.image.layout import MIB, Partition
from builder.settings import PROJECT

# Where it ends well, nothing is waited for in vain; what does not is not waited for.
PATIENT = Patience(
    switch_on=300, line=300, echo=0.3, answer=300, write=300, boot=300, tick=0.1, nudge=0.3, modem=0.2, word=3600
)
HASTY = replace(PATIENT, switch_on=2, line=2, boot=1)
LOOPBACK = Console(address="127.0.0.1/8", server="127.0.0.2", seen_as="127.0.0.1")
SIZE = 3 * MIB


@pytest.fixture
def board() -> Board:
    found = load_board(PROJECT / "board", "armv7")
    return msgspec.structs.replace(found, monitor=msgspec.structs.replace(found.need_monitor(), piece_mib=1))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """3 MiB: random bytes, then nothing, then random bytes again."""
    return make_image(tmp_path / "disk.img", "armv7")


def make_image(file: Path, name: str) -> Path:
    content = bytearray(SIZE)
    content[: 100 * 1024] = random.Random(1).randbytes(100 * 1024)  # noqa: S311
    content[510:512] = b"\x55\xaa"
    content[2 * MIB : 2 * MIB + 4096] = random.Random(2).randbytes(4096)  # noqa: S311
    file.write_bytes(content)
    write_header(file, name, Partition(4, "data", 2 * MIB, MIB))
    return file


class Shop:
    """Where boards are flashed: a simulated one, and what the user was told."""

    def __init__(self, board: Board, image: Path, free_port: int) -> None:
        self.board, self.image, self.port = board, image, free_port
        self.told: list[str] = []
        self.patience = PATIENT

    def flash(self, simulated: Simulated, wishes: Console = LOOPBACK, **options: bool) -> None:
        simulated.tftp_port = self.port
        todo = Options(console=wishes, **options)
        console.put(self.board, self.image, simulated.url, todo, self.told.append, self.patience, self.port)

    def fails(self, simulated: Simulated, wishes: Console = LOOPBACK, **options: bool) -> str:
        self.patience = HASTY
        with pytest.raises(CygnetError) as raised:
            self.flash(simulated, wishes, **options)
        text = str(raised.value)
        assert "\n" not in text
        return text


@pytest.fixture
def shop(board: Board, image: Path, free_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("CYGNET_CACHE", str(tmp_path / "cache"))
    return Shop(board, image, free_port)


def written(simulated: Simulated, image: Path) -> bool:
    return bytes(simulated.disk[:SIZE]) == image.read_bytes()


def sent(simulated: Simulated) -> list[str]:
    return [word for word in simulated.commands if word.startswith(("tftpboot", "loady"))]


class TestItIsWritten:
    @pytest.mark.parametrize("start", ["autoboot", "prompt"])
    def test_from_whatever_it_was_doing(self, shop: Shop, start: str) -> None:
        with Simulated(start) as simulated:
            shop.flash(simulated)
            assert written(simulated, shop.image)
        assert shop.told[-1] == "the box is up"

    def test_the_partition_table_comes_last(self, shop: Shop) -> None:
        with Simulated() as simulated:
            shop.flash(simulated)
        writes = [word for word in simulated.commands if word.startswith("virtio write")]
        assert writes[-1].split()[3] == "0x0"

    def test_nothing_is_sent_of_what_is_there(self, shop: Shop) -> None:
        with Simulated() as simulated:
            simulated.disk[:SIZE] = shop.image.read_bytes()
            shop.flash(simulated)
            assert not sent(simulated)
            assert written(simulated, shop.image)

    def test_zeros_are_made_there(self, shop: Shop) -> None:
        with Simulated() as simulated:
            simulated.disk[:] = b"\xff" * len(simulated.disk)
            shop.flash(simulated)
            assert len(sent(simulated)) == 2
            assert written(simulated, shop.image)

    def test_data_stays_when_that_is_asked_for(self, shop: Shop) -> None:
        with Simulated() as simulated:
            simulated.disk[:512] = shop.image.read_bytes()[:512]
            simulated.disk[2 * MIB : SIZE] = b"d" * MIB
            shop.flash(simulated, keep_data=True)
            assert simulated.disk[2 * MIB : SIZE] == b"d" * MIB
            assert simulated.disk[: 2 * MIB] == shop.image.read_bytes()[: 2 * MIB]

    def test_a_disk_without_data_keeps_none(self, shop: Shop) -> None:
        with Simulated() as simulated:
            simulated.disk[446] = 0x80
            told = shop.fails(simulated, keep_data=True)
            assert not sent(simulated)
        assert "is not divided as" in told

    def test_nothing_is_written_when_it_is_only_started(self, shop: Shop) -> None:
        with Simulated() as simulated:
            simulated.disk[:SIZE] = shop.image.read_bytes()
            shop.flash(simulated, Console(only_start=True))
            assert simulated.commands[-1] == "reset"
            assert not any(word.startswith(("virtio write", "virtio read")) for word in simulated.commands)
        assert shop.told[-1] == "the box is up"

    def test_by_ymodem_without_a_network(self, shop: Shop) -> None:
        with Simulated() as simulated:
            shop.flash(simulated, Console(ymodem=True))
            assert written(simulated, shop.image)
            # 100 KiB, the header and 4 KiB in parts of 64 KiB.
            assert len(sent(simulated)) == 4
        assert not any("a second" in line for line in shop.told)

    def test_a_slow_line_is_told_with_how_far_it_is(self, shop: Shop) -> None:
        shop.patience = replace(PATIENT, word=0)
        with Simulated() as simulated:
            shop.flash(simulated, Console(ymodem=True))
        [last] = [line for line in shop.told if line.startswith("2 MiB: ") and "a second" in line]
        assert re.fullmatch(r"2 MiB: 64 of 1,024 KiB, [\d.]+ KiB a second", last)

    def test_a_running_linux_is_restarted_when_that_is_allowed(self, shop: Shop) -> None:
        with Simulated("login") as simulated:
            shop.flash(simulated, replace(LOOPBACK, reboot=True))
            assert written(simulated, shop.image)
        assert "the board runs Linux: it is restarted" in shop.told


class TestABadLine:
    @pytest.mark.parametrize("noise", [0.001, 0.003])
    def test_noise_is_typed_again(self, shop: Shop, noise: float) -> None:
        with Simulated(noise=noise) as simulated:
            shop.flash(simulated)
            assert written(simulated, shop.image)

    def test_ymodem_through_noise(self, shop: Shop) -> None:
        with Simulated(noise=0.0001) as simulated:
            shop.flash(simulated, Console(ymodem=True))
            assert written(simulated, shop.image)

    def test_too_much_noise_is_told(self, shop: Shop) -> None:
        with Simulated("prompt", noise=0.5) as simulated:
            told = shop.fails(simulated)
        assert "noisy" in told
        assert not any(simulated.disk)

    @pytest.mark.parametrize("at", ["setenv serverip", "tftpboot", "crc32", "virtio write"])
    @pytest.mark.parametrize("cut_power", [False, True])
    def test_a_line_that_drops_goes_on(self, shop: Shop, at: str, cut_power: bool) -> None:
        with Simulated() as simulated:
            simulated.hang_up_at, simulated.cut_power = at, cut_power
            shop.flash(simulated)
            assert written(simulated, shop.image)
        assert any("the line dropped" in line for line in shop.told)

    def test_a_line_that_stays_away_is_told_with_the_state(self, shop: Shop) -> None:
        with Simulated() as simulated:
            simulated.hang_up_at = "virtio write"
            original = simulated.hang_up

            def for_good() -> None:
                simulated.off()
                original()

            simulated.hang_up = for_good  # type: ignore[method-assign]
            told = shop.fails(simulated)
        assert "the line has gone" in told
        assert "1 MiB of the image are written, the board does not start it yet; the same command goes on" in told


class TestWhatItIsNot:
    @pytest.mark.parametrize(
        ("start", "said"),
        [
            ("silent", "says nothing: switch it on, look whether the cable crosses RX and TX"),
            ("noise", "sends what nobody can read at 115200 bit/s: --speed= is the console's speed"),
            ("login", "runs Linux: switch it off and on while this waits, or give --reboot"),
            ("cfe", "has a prompt that is not U-Boot's, 'CFE>'"),
        ],
    )
    def test_each_is_recognised(self, shop: Shop, start: str, said: str) -> None:
        with Simulated(start) as simulated:
            assert said in shop.fails(simulated)
            assert not any(simulated.disk)

    def test_a_linux_that_wants_a_password(self, shop: Shop) -> None:
        with Simulated("locked") as simulated:
            assert "wants a password" in shop.fails(simulated, replace(LOOPBACK, reboot=True))

    def test_nobody_at_the_other_end(self, shop: Shop, free_port: int) -> None:
        with pytest.raises(CygnetError, match="cannot be opened"):
            console.put(
                shop.board, shop.image, f"socket://127.0.0.1:{free_port}", Options(console=LOOPBACK), print, HASTY,
                free_port,
            )  # fmt: skip

    def test_no_url_of_pyserials(self, shop: Shop) -> None:
        with pytest.raises(CygnetError, match="--to=what://x"):
            console.put(shop.board, shop.image, "what://x", Options(console=LOOPBACK), print, HASTY, shop.port)


class TestBeforeAByteIsWritten:
    def test_an_image_of_another_board(self, shop: Shop, tmp_path: Path) -> None:
        shop.image = make_image(tmp_path / "other.img", "pc486")
        with Simulated() as simulated:
            told = shop.fails(simulated)
        assert "is for pc486 and would not start on armv7" in told
        assert simulated.received == 0

    def test_a_damaged_image(self, shop: Shop) -> None:
        with shop.image.open("r+b") as file:
            file.seek(MIB + 5)
            file.write(b"x")
        with Simulated() as simulated:
            assert "is damaged" in shop.fails(simulated)
        assert simulated.received == 0

    def test_a_board_without_a_monitor(self, shop: Shop) -> None:
        shop.board = msgspec.structs.replace(shop.board, monitor=None)
        with Simulated() as simulated:
            assert "is not flashed over its console" in shop.fails(simulated)


class TestTheBoardFails:
    def test_a_disk_that_is_too_small(self, shop: Shop) -> None:
        with Simulated(disk=2 * MIB) as simulated:
            told = shop.fails(simulated)
        assert "it refused `virtio write 0x40400000 0x1000 0x800`" in told

    def test_a_disk_that_spoils_once_is_written_again(self, shop: Shop) -> None:
        with Simulated() as simulated:
            simulated.spoil = 1
            shop.flash(simulated)
            assert written(simulated, shop.image)
        assert any("reads back otherwise" in line for line in shop.told)

    def test_what_was_loaded_otherwise_is_loaded_again(self, shop: Shop) -> None:
        with Simulated() as simulated:
            simulated.spoil_loaded = 1
            shop.flash(simulated)
            assert written(simulated, shop.image)
            writes = [word for word in simulated.commands if word.startswith("virtio write")]
            # Nothing else was written meanwhile.
            assert len(writes) == len(set(writes)) == 2
        assert any("other bytes in its RAM than were sent" in line for line in shop.told)

    def test_a_disk_that_spoils_everything_is_told(self, shop: Shop) -> None:
        with Simulated() as simulated:
            simulated.spoil = 100
            assert "worn out" in shop.fails(simulated)

    def test_a_network_that_does_not_reach_it(self, shop: Shop) -> None:
        with Simulated() as simulated:
            told = shop.fails(simulated, replace(LOOPBACK, seen_as="127.0.0.9"))
        assert "it cannot load from 127.0.0.2 (`Retry count exceeded`): is its cable" in told

    @pytest.mark.parametrize(
        ("says", "told"),
        [
            ("\r\nno slot boots; restarting", "its boot loader can start neither slot"),
            ("\r\nKernel panic - not syncing", "its kernel gave up"),
            ("\r\nStarting kernel ...\r\n", "it has said nothing for 1 s"),
            ("\r\nCygnet 0.1.0 on pc486, Linux", "it came up as pc486: another disk is started first"),
        ],
    )
    def test_a_box_that_does_not_come_up(self, shop: Shop, says: str, told: str) -> None:
        with Simulated() as simulated:
            simulated.boots, simulated.after_boot = says, "silent"
            found = shop.fails(simulated)
        assert told in found
        assert "holds the whole image" in found
