"""A net4501 with comBIOS, as far as its users have shown its console; no real one has been seen."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType

HELLO = b"\r\ncomBIOS ver. %s  20070103  Copyright (C) 2000-2007 Soekris Engineering.\r\n\r\nnet45xx\r\n\r\n"
COUNTING = b" 5 Seconds to automatic boot.   Press Ctrl-P for entering Monitor.\r\n"
MONITOR = b"\r\ncomBIOS Monitor.   Press ? for help.\r\n\r\n> "
BOX = b"\r\nCygnet 0.1.0 on pc486, Linux 6.12\r\n\r\ncygnet login: "
POST_SECONDS = 5
NO_NETWORK = b"\r\nPXE-E61: Media test failure, check cable\r\nPXE-M0F: Exiting PXE ROM.\r\n"
NEW = {
    "ConSpeed": "19200", "ConLock": "Enabled", "PXEBoot": "Enabled", "FastBoot": "Disabled",
    "BootPartition": "Disabled", "BootDrive": "80 81 F0 FF",
}  # fmt: skip


class Net4501:
    """The board; what it says is noise for who listens at another speed. The card holds a box, or nothing.

    ``network``: what `boot F0` starts, with the serial line; else it finds nothing there.
    """

    def __init__(
        self, settings: dict[str, str] | None = None, version: str = "1.33", card: bool = True,
        network: Callable[[socket.socket], None] | None = None,
    ) -> None:  # fmt: skip
        self.settings = {**NEW, **(settings or {})}
        self.commands: list[str] = []
        self.speeds: list[int] = []
        self._version, self._card, self._network = version.encode(), card, network
        # What is said with until the next start: ConSpeed counts from then on.
        self._speed = int(self.settings["ConSpeed"])
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self._server.getsockname()[1]}"
        self._listens_at = 0

    def __enter__(self) -> Net4501:
        threading.Thread(target=self._live, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def listened_at(self, speed: int) -> None:
        """The other end changed its speed: a socket does not tell."""
        self.speeds.append(speed)
        self._listens_at = speed

    def _live(self) -> None:
        with contextlib.suppress(OSError):
            self._peer, _ = self._server.accept()
            # Somebody finds the switch.
            while self._typed(switch=True):
                pass
            self._start()
            while self._typed():
                pass

    def _post(self) -> None:
        """It has nothing to say while it starts: who is to listen at another speed has the time."""
        end = time.monotonic() + POST_SECONDS
        while self._listens_at != int(self.settings["ConSpeed"]) and time.monotonic() < end:
            time.sleep(0.01)

    def _start(self) -> None:
        self._speed = int(self.settings["ConSpeed"])
        self._say(HELLO % self._version + COUNTING)

    def _typed(self, switch: bool = False) -> bool:
        line = b""
        while True:
            letter = self._peer.recv(1)
            if not letter:
                raise OSError
            if switch:
                return False
            if letter == b"\x10":
                self._say(MONITOR)
            elif letter == b"\r":
                self._say(b"\r\n")
                self._run(line.decode())
                return True
            else:
                line += letter
                self._say(letter)

    def _run(self, line: str) -> None:
        if not line:
            self._say(COUNTING if not self.commands else b"> ")
            return
        self.commands.append(line)
        word, _, rest = line.partition(" ")
        if word == "reboot":
            self._post()
            self._start()
            self._say(BOX if self._card else b"No Boot device available, enter monitor.\r\n" + MONITOR)
            return
        if line == "boot F0":
            if self._network:
                self._network(self._peer)
            self._say(NO_NETWORK + MONITOR)
            return
        if word == "set":
            name, _, value = rest.partition("=")
            self.settings[name] = value
        if word == "show":
            self._say("".join(f"{name} = {value}\r\n" for name, value in self.settings.items()).encode())
        self._say(b"> ")

    def _say(self, text: bytes) -> None:
        self._peer.sendall(text if self._speed == self._listens_at else bytes(byte | 0x80 for byte in text))
