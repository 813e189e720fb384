"""The daemon's end of the control socket: root only, bounded, and never waiting for anybody.

It lives on a selector whose entries hold what to call with the event mask, and has timers as the engine has them.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from cygnet.control.codes import BAD_REQUEST, LONGEST_REPLY, LONGEST_REQUEST
from cygnet.control.request import Request, RequestError, parse_request
from cygnet.errors import CygnetError

MOST_CLIENTS = 64
MOST_UNSENT = 1 << 21
SECONDS_TO_ASK = 5.0
LONGEST_TEXT = LONGEST_REPLY // 12 - 4  # every character may become \\udXXX\\udXXX
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
Handler = Callable[[Request, "Client"], None]


class ServerError(CygnetError):
    """The socket cannot be made."""


class Client:
    """Whoever asked: takes replies and, once, the status; a client that went away or does not read takes them too."""

    def __init__(self, server: Server, connection: socket.socket, deadline: float) -> None:
        self._server, self._connection = server, connection
        self._received, self._unsent = b"", bytearray()
        self._ended = False
        self.deadline: float | None = deadline
        server.selector.register(connection, READ, self._event)

    def reply(self, code: int, text: str) -> None:
        """One line of progress or result."""
        if not self._ended:
            self._queue({"code": code, "text": text[:LONGEST_TEXT]})

    def end(self, status: int) -> None:
        """The last line; the connection closes as soon as it is sent."""
        if not self._ended:
            self._queue({"status": status})
            self._ended = True
            self._flush()

    def close(self) -> None:
        """Let it go, sent or not."""
        self._ended, self.deadline = True, None
        self._unsent.clear()
        if self._connection.fileno() >= 0:
            self._watch(0)
            self._connection.close()
            self._server.clients.discard(self)

    def _queue(self, words: dict[str, int | str]) -> None:
        if self._connection.fileno() < 0:
            return
        self._unsent += json.dumps(words).encode() + b"\n"
        if len(self._unsent) > MOST_UNSENT:
            self.close()
        else:
            self._flush()

    def _flush(self) -> None:
        if self._connection.fileno() < 0:
            return
        gone = False
        try:
            while self._unsent:
                del self._unsent[: self._connection.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            gone = True
        if gone or (self._ended and not self._unsent):
            self.close()
        else:
            self._watch((READ if self.deadline else 0) | (WRITE if self._unsent else 0))

    def _watch(self, mask: int) -> None:
        known = self._connection in self._server.selector.get_map()
        if known and mask:
            self._server.selector.modify(self._connection, mask, self._event)
        elif known:
            self._server.selector.unregister(self._connection)
        elif mask:
            self._server.selector.register(self._connection, mask, self._event)

    def _event(self, mask: int) -> None:
        if mask & WRITE:
            self._flush()
        if mask & READ and self.deadline:
            self._read()

    def _read(self) -> None:
        try:
            received = self._connection.recv(LONGEST_REQUEST + 1)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        self._received += received
        line, newline, _ = self._received.partition(b"\n")
        if newline or len(line) > LONGEST_REQUEST:
            self._take(line)
        elif not received:
            self.close()

    def _take(self, line: bytes) -> None:
        """One request a connection: nothing is read after it."""
        self.deadline, self._received = None, b""
        self._flush()
        try:
            request = parse_request(line)
        except RequestError as problem:
            self.reply(BAD_REQUEST, str(problem))
            self.end(BAD_REQUEST)
        else:
            self._server.handler(request, self)


class Server:
    """Listens at ``path`` as soon as it is made."""

    def __init__(
        self, path: Path, selector: selectors.BaseSelector, handler: Handler, clock: Callable[[], float]
    ) -> None:
        self.selector, self.handler, self.clients = selector, handler, set[Client]()
        self._path, self._clock = path, clock
        self._socket = _listen(path)
        selector.register(self._socket, READ, self._accept)

    def next_deadline(self) -> float | None:
        """When the first client that has not asked yet has had its time."""
        return min((client.deadline for client in self.clients if client.deadline), default=None)

    def run_timers(self, now: float) -> None:
        """Closes clients that connected and did not ask."""
        for client in [client for client in self.clients if client.deadline and client.deadline <= now]:
            client.close()

    def close(self) -> None:
        """No more clients; what can be sent at once has been."""
        self.selector.unregister(self._socket)
        self._socket.close()
        self._path.unlink(missing_ok=True)
        for client in list(self.clients):
            client.close()

    def _accept(self, _mask: int) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError:
            return
        if not _trusted(connection) or len(self.clients) >= MOST_CLIENTS:
            connection.close()
            return
        connection.setblocking(False)
        self.clients.add(Client(self, connection, self._clock() + SECONDS_TO_ASK))


def _trusted(connection: socket.socket) -> bool:
    """Root, or whoever runs this daemon: the mode of the socket says so too, this holds if the mode is changed."""
    _pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return uid in (0, os.geteuid())


def _listen(path: Path) -> socket.socket:
    """Whoever calls this holds the lock, so a socket that is there is a dead daemon's."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        listener.bind(str(path))
        listener.listen(MOST_CLIENTS)
    except OSError as problem:
        listener.close()
        raise ServerError(f"cannot listen at {path}: {problem.strerror}; try --ctlbase elsewhere") from None
    finally:
        os.umask(umask)
    listener.setblocking(False)
    return listener
