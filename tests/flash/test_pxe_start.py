"""A board starts from its network: how far it came is told, by what the servers and the line have seen."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from test_console import HASTY, PATIENT

from builder.errors import CygnetError
from builder.flash.console.line import Line
from builder.flash.console.pxe.installer import INITRAMFS, LINUX, LOADER
from builder.flash.console.pxe.start import Served, Start

BOARD, OTHER = "00:00:24:c0:12:34", "52:54:00:c9:00:01"


@dataclass
class Seen:
    """What both servers have seen."""

    client: str = ""
    given: bool = False
    other: str = ""
    foreign: str = ""
    asked: set[str] = field(default_factory=set)
    acknowledged: int = 0


GIVEN = Seen(BOARD, given=True)


def served(seen: Any) -> Served:
    """What Seen says is what both servers have seen."""
    return Served(seen, seen, "192.168.77.1", "eth1")


@pytest.mark.parametrize(
    ("seen", "said", "told"),
    [
        (Seen(), b"DHCP...", "nobody asked by PXE at eth1: is there a cable"),
        (
            Seen(),
            b"\r\nPXE-E61: Media test failure, check cable\r\n\r\n> ",
            "gave up starting from the network (`PXE-E61: ",
        ),
        (Seen(BOARD, foreign="10.0.0.1"), b"", "took the address that another DHCP server offered, 10.0.0.1"),
        (GIVEN, b"TFTP.", "00:00:24:c0:12:34 was given 192.168.77.1 and then loaded nothing: is that the board"),
        (replace(GIVEN, other=OTHER), b"", f"; {OTHER} asked by PXE, too, and was not answered: --mac="),
        (replace(GIVEN, asked={LOADER}), b"", "it loaded the boot loader, which asked for no kernel"),
        (
            replace(GIVEN, asked={LOADER, LINUX}),
            b"error: out of memory.\r\n",
            "(`error: out of memory.`): it loaded the ker",
        ),
        (replace(GIVEN, asked={LOADER, LINUX, INITRAMFS}), b"Linux\r\n", "it loaded the installer, which says nothing"),
    ],
)
def test_how_far_it_came(seen: Seen, said: bytes, told: str, tmp_path: Path) -> None:
    with _line(said, tmp_path / "log") as line:
        with pytest.raises(CygnetError) as raised:
            Start(line, served(seen), HASTY, print).prompt()
        text = str(raised.value)
        assert told in text
        assert text.endswith("; nothing on its disk was changed")
        assert "\n" not in text


def test_each_step_is_told_until_the_installer_is_there(tmp_path: Path) -> None:
    told: list[str] = []
    everything = replace(GIVEN, asked={LOADER, LINUX, INITRAMFS})
    with _line(b"Linux 6.12\r\ninstaller> ", tmp_path / "log") as line:
        assert Start(line, served(everything), PATIENT, told.append).prompt().line is line
    assert told == [
        "00:00:24:c0:12:34 asks by PXE, and gets 192.168.77.1",
        "it loads the boot loader",
        "it loads the kernel",
        "it loads the installer, with the image",
    ]


def test_a_prompt_that_came_damaged_is_asked_for_again(tmp_path: Path) -> None:
    everything = replace(GIVEN, asked={LOADER, LINUX, INITRAMFS})
    with _line(b"inst\xffller> ", tmp_path / "log", answer=b"\r\ninstaller> ") as line:
        assert Start(line, served(everything), PATIENT, print).prompt()


class Far:
    """The other end of a line; ``answer`` comes back for whatever is typed."""

    def __init__(self, server: socket.socket, answer: bytes) -> None:
        self._server, self._answer = server, answer
        self._there = threading.Event()
        self.url = f"socket://127.0.0.1:{server.getsockname()[1]}"

    def live(self) -> None:
        with contextlib.suppress(OSError):
            self._peer, _ = self._server.accept()
            self._there.set()
            with self._peer:
                while self._peer.recv(100):
                    self._peer.sendall(self._answer)

    def say(self, text: bytes) -> None:
        """Once the line is open: what was said before is not heard."""
        assert self._there.wait(60)
        self._peer.sendall(text)


@contextlib.contextmanager
def _line(said: bytes, log: Path, answer: bytes = b"") -> Iterator[Line]:
    """A line where this is said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        far = Far(server, answer)
        threading.Thread(target=far.live, daemon=True).start()
        with Line(far.url, 115200, log) as line:
            far.say(said)
            yield line
