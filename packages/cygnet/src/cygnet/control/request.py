"""A request as the daemon reads it: one line of JSON, nothing in it that is not known."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields

from cygnet.control.codes import LONGEST_REQUEST
from cygnet.errors import CygnetError


class RequestError(CygnetError):
    """The line was no request; says what was wrong with it."""


@dataclass(frozen=True)
class Request:
    """``name``: of a connection, "" where none is meant. ``config``: absolute path, "" for the daemon's own."""

    command: str
    name: str = ""
    config: str = ""
    asynchronous: bool = False


KNOWN = {field.name: bool if field.name == "asynchronous" else str for field in fields(Request)}


def parse_request(line: bytes) -> Request:
    """The request that ``line`` holds."""
    if len(line) > LONGEST_REQUEST:
        raise RequestError(f"a request has at most {LONGEST_REQUEST} bytes")
    try:
        words = json.loads(line)
    except (ValueError, RecursionError):
        raise RequestError("a request is one line of JSON") from None
    if not isinstance(words, dict) or not isinstance(words.get("command"), str):
        raise RequestError('a request is an object with a "command"')
    for key, value in words.items():
        _check(key, value)
    return Request(**words)


def _check(key: str, value: object) -> None:
    if key not in KNOWN:
        raise RequestError(f"a request has no {ascii(key)[:40]}")
    if type(value) is not KNOWN[key]:
        raise RequestError(f"{key} must be a {'truth value' if KNOWN[key] is bool else 'string'}")
    if isinstance(value, str) and not value.isprintable():
        raise RequestError(f"{key} has characters that cannot be printed")
    if key == "config" and value and not str(value).startswith("/"):
        raise RequestError("config must be an absolute path")
