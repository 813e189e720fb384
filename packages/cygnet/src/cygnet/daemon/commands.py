"""What the daemon does with each request. A command is a function and a row in `COMMANDS`.

A handler ends its asker itself, or raises: what was wrong with a request is one sentence, with Pluto's number.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cygnet.conf import load
from cygnet.connection.connection import Connection
from cygnet.connection.local import away
from cygnet.control import codes
from cygnet.control.request import Request
from cygnet.control.server import Client
from cygnet.errors import CygnetError

if TYPE_CHECKING:
    from cygnet.daemon.daemon import Daemon

MOST_PROBLEMS = 20


class RefusalError(CygnetError):
    """A request that cannot be granted, with its code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def handle(daemon: Daemon, request: Request, asker: Client) -> None:
    """Do what is asked; whatever goes wrong, the asker gets a status."""
    try:
        if request.command not in COMMANDS:
            raise RefusalError(codes.BAD_REQUEST, f"there is no request {request.command!a}")
        command, named = COMMANDS[request.command]
        if named is not None and named != bool(request.name):
            raise RefusalError(codes.BAD_REQUEST, f"{request.command} takes {'a' if named else 'no'} connection name")
        command(daemon, request, asker)
    except RefusalError as refusal:
        asker.reply(refusal.code, str(refusal))
        asker.end(refusal.code)
    except CygnetError as problem:
        asker.reply(codes.SERIOUS, str(problem))
        asker.end(codes.SERIOUS)
    except Exception:
        asker.reply(codes.INTERNAL_ERROR, "internal error; the daemon's log says where")
        asker.end(codes.INTERNAL_ERROR)
        raise


def _add(daemon: Daemon, request: Request, asker: Client) -> None:
    if request.name in daemon.engine.connections:
        raise RefusalError(codes.DUPLICATE_NAME, f'attempt to redefine connection "{request.name}": use --replace')
    _load(daemon, _read(daemon, request, asker), asker)


def _load(daemon: Daemon, connection: Connection, asker: Client) -> None:
    daemon.engine.add(connection, time.monotonic())
    asker.reply(codes.LOG, f'added connection description "{connection.name}"')
    if reason := away(connection):
        asker.reply(codes.SERIOUS, f'"{connection.name}" ({connection.where}) waits: {reason}')
    asker.end(0)


def _replace(daemon: Daemon, request: Request, asker: Client) -> None:
    """What was there goes only once there is something to put in its place."""
    connection = _read(daemon, request, asker)
    if request.name in daemon.engine.connections:
        daemon.engine.delete(request.name, time.monotonic())
        asker.reply(codes.LOG, f'"{request.name}": deleting connection')
    _load(daemon, connection, asker)


def _delete(daemon: Daemon, request: Request, asker: Client) -> None:
    name = _known(daemon, request).name
    daemon.engine.delete(name, time.monotonic())
    asker.reply(codes.LOG, f'"{name}": deleting connection')
    asker.end(0)


def _up(daemon: Daemon, request: Request, asker: Client) -> None:
    name = _known(daemon, request).name
    if request.asynchronous:
        daemon.engine.initiate(name, time.monotonic(), None, None)
        asker.end(0)
    else:
        daemon.engine.initiate(name, time.monotonic(), asker.reply, asker.end)


def _down(daemon: Daemon, request: Request, asker: Client) -> None:
    name = _known(daemon, request).name
    asker.reply(codes.LOG, f'"{name}": terminating SAs using this connection')
    daemon.engine.terminate(name, time.monotonic())
    asker.end(0)


def _route(daemon: Daemon, request: Request, asker: Client) -> None:
    _routing(daemon.tunnels.route, _known(daemon, request))
    asker.end(0)


def _unroute(daemon: Daemon, request: Request, asker: Client) -> None:
    _routing(daemon.tunnels.unroute, _known(daemon, request))
    asker.end(0)


def _routing(change: Callable[[Connection], None], connection: Connection) -> None:
    try:
        change(connection)
    except CygnetError as problem:
        raise RefusalError(codes.ROUTE, str(problem)) from None


def _listen(daemon: Daemon, _request: Request, asker: Client) -> None:
    asker.reply(codes.LOG, "listening for IKE messages")
    daemon.look_around()
    for line in daemon.interfaces():
        asker.reply(codes.LOG, f"adding {line}")
    _reread(daemon, _request, asker)


def _reread(daemon: Daemon, _request: Request, asker: Client) -> None:
    """Secrets as they are in the file now; connections are read at --add and --replace."""
    asker.reply(codes.LOG, "forgetting secrets")
    for problem in daemon.read_secrets():
        asker.reply(codes.SERIOUS, problem)
    asker.reply(codes.LOG, f'loading secrets from "{daemon.settings.secrets}"')
    asker.end(0)


def _reread_all(daemon: Daemon, request: Request, asker: Client) -> None:
    """Certificates, too, as they are needed next."""
    daemon.engine.certificates.forget()
    _reread(daemon, request, asker)


def _reread_groups(daemon: Daemon, _request: Request, asker: Client) -> None:
    for line in daemon.read_groups():
        asker.reply(codes.COMMENT, line)
    asker.end(0)


def _status(daemon: Daemon, _request: Request, asker: Client) -> None:
    for line in [*daemon.interfaces(), *daemon.engine.status(), *daemon.problems]:
        asker.reply(codes.COMMENT, line)
    asker.end(0)


def _why(daemon: Daemon, request: Request, asker: Client) -> None:
    """Facts for ipsec why, of one connection or of all."""
    name = _known(daemon, request).name if request.name else ""
    now = time.monotonic()
    asker.reply(codes.COMMENT, f"secrets {int(now - daemon.secrets_read)}")
    for line in daemon.engine.why(name, now):
        asker.reply(codes.COMMENT, line)
    asker.end(0)


def _shutdown(daemon: Daemon, _request: Request, asker: Client) -> None:
    asker.reply(codes.LOG, "shutting down")
    asker.end(0)
    daemon.loop.stop()


def _known(daemon: Daemon, request: Request) -> Connection:
    known = daemon.engine.connections
    if request.name not in known:
        hint = _nearest(request.name, known)
        raise RefusalError(codes.UNKNOWN_NAME, f'no connection named "{request.name}"{hint or "; load it by --add"}')
    return known[request.name]


def _read(daemon: Daemon, request: Request, asker: Client) -> Connection:
    """The connection as the file has it now."""
    path = Path(request.config) if request.config else daemon.settings.config
    configuration = load(path, daemon.local)
    if request.name in configuration.connections:
        for problem in configuration.problems:
            if f'conn "{request.name}"' in problem:
                asker.reply(codes.SERIOUS, problem)
        return configuration.connections[request.name]
    for problem in configuration.problems[:MOST_PROBLEMS]:
        asker.reply(codes.SERIOUS, problem)
    hint = _nearest(request.name, configuration.connections)
    raise RefusalError(codes.UNKNOWN_NAME, f'{path} has no usable connection "{request.name}"{hint}')


def _nearest(name: str, known: dict[str, Connection]) -> str:
    from difflib import get_close_matches

    found = get_close_matches(name, known, 1)
    return f'; did you mean "{found[0]}"?' if found else ""


# Request -> what does it, and whether it is about one connection; None for either.
COMMANDS: dict[str, tuple[Callable[[Daemon, Request, Client], None], bool | None]] = {
    "add": (_add, True),
    "replace": (_replace, True),
    "delete": (_delete, True),
    "up": (_up, True),
    "down": (_down, True),
    "route": (_route, True),
    "unroute": (_unroute, True),
    "listen": (_listen, False),
    "rereadsecrets": (_reread, False),
    "rereadall": (_reread_all, False),
    "rereadgroups": (_reread_groups, False),
    "status": (_status, False),
    "why": (_why, None),
    "shutdown": (_shutdown, False),
}
