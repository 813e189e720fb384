"""The commands' end of the control socket: send one request, hand on what comes back.

``_socket`` and ``_json`` are CPython's own cores of ``socket`` and ``json``: without the shells around them (enum, re,
selectors) a command starts in 9 ms instead of 20, on a 486 a matter of seconds. So this reads exactly what
control/server.py writes, no other spelling of the same JSON.
"""

from __future__ import annotations

from _json import encode_basestring_ascii, scanstring
from _socket import AF_UNIX, SOCK_STREAM, socket

from cygnet.control.codes import CONTROL_BASE, LONGEST_REPLY, SOCKET_SUFFIX
from cygnet.errors import CygnetError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class ControlError(CygnetError):
    """The daemon could not be asked; says why and what to do."""


def encode(words: dict[str, str | bool]) -> str:
    """A request as it goes over the socket."""
    values = {key: str(v).lower() if isinstance(v, bool) else encode_basestring_ascii(v) for key, v in words.items()}
    return "{" + ", ".join(f'"{key}": {value}' for key, value in values.items()) + "}"


def ask(words: dict[str, str | bool], show: Callable[[int, str], None], base: str = CONTROL_BASE) -> int:
    """Send a request, show each reply as it comes, return the status that the daemon ends with."""
    connection = _connect(base + SOCKET_SUFFIX)
    try:
        connection.sendall(encode(words).encode() + b"\n")
        for line in _lines(connection):
            reply = _parse(line)
            if isinstance(reply, int):
                return reply
            show(*reply)
    except OSError as problem:
        raise ControlError(f"the daemon broke off: {problem.strerror}; its log says why") from None
    finally:
        connection.close()
    raise ControlError("the daemon went away before it had finished; its log says why")


def _connect(path: str) -> socket:
    connection = socket(AF_UNIX, SOCK_STREAM)
    try:
        connection.connect(path)
    except FileNotFoundError:
        raise ControlError(f'Pluto is not running (no "{path}"); start it with "ipsec setup start"') from None
    except ConnectionRefusedError:
        raise ControlError(f'Pluto has died and left "{path}"; start it with "ipsec setup restart"') from None
    except OSError as problem:
        raise ControlError(f'cannot reach Pluto by "{path}": {problem.strerror}; are you root?') from None
    return connection


def _lines(connection: socket) -> Iterator[str]:
    pending = b""
    while received := connection.recv(4096):
        *lines, pending = (pending + received).split(b"\n")
        for line in lines:
            yield line.decode("ascii", "replace")
        if len(pending) > LONGEST_REPLY:
            raise ControlError("the daemon sent a line without end")


def _parse(line: str) -> int | tuple[int, str]:
    """A status, or a code and its text."""
    head, _, rest = line.partition(": ")
    number, _, text = rest.partition(", ")
    if head == '{"status"' and number[:-1].isdecimal() and number.endswith("}"):
        return int(number[:-1])
    if head == '{"code"' and number.isdecimal() and text.startswith('"text": "'):
        try:
            value, end = scanstring(text, len('"text": "'), True)
        except ValueError:
            end = -1
        if end >= 0 and text[end:] == "}":
            return int(number), value
    raise ControlError("the daemon gave an answer that is none; are command and daemon of the same version?")
