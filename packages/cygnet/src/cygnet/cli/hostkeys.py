"""RSA keys as text: what rsasigkey prints, and what there is to know of a key in ipsec.secrets(5)."""

from __future__ import annotations

import base64
import socket
import time
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from cygnet.conf import load_secrets
from cygnet.connection.identity import IdType
from cygnet.connection.secret import RsaSecret
from cygnet.crypto.rsa import NUMBER_NAMES, BadKey, PrivateKey, PublicKey
from cygnet.errors import CygnetError

FIRST_SECRET = NUMBER_NAMES[2]
INDENT = "\t"
COMMENT = "# RSA "


class HostKey(NamedTuple):
    """A key in the file. ``comment``: "RSA 2048 bits   host   date" or "". ``identity``: its one index, or "".

    ``host``: the name in the comment, or this host's.
    """

    public: PublicKey
    comment: str
    host: str
    identity: str


def public_text(public: PublicKey) -> str:
    """Base 64 of the RFC 3110 blob: with 0s before it, what leftrsasigkey= has."""
    return base64.b64encode(public.blob).decode()


def key_text(key: PrivateKey, host: str) -> list[str]:
    """All of it, as FreeS/WAN's rsasigkey prints it."""
    date = time.strftime("%a %b %e %H:%M:%S %Y")
    lines = [
        f"{COMMENT}{key.public.bits} bits   {host or socket.gethostname()}   {date}",
        "# for signatures only, UNSAFE FOR ENCRYPTION",
        f"#pubkey=0s{public_text(key.public)}",
    ]
    for name, number in key.secret_numbers().items():
        if name == FIRST_SECRET:
            lines.append("# everything after this point is secret")
        lines.append(f"{name}: 0x{number.to_bytes((number.bit_length() + 7) // 8, 'big').hex()}")
    return [INDENT + line for line in lines]


def old_key(path: str) -> PrivateKey:
    """The key in a file that has its numbers, one a line; all other lines are passed over."""
    from cygnet.conf.values import to_data

    found = {}
    for line in _read(Path("/dev/stdin" if path == "-" else path)).splitlines():
        name, colon, value = line.strip().partition(":")
        if colon and name in NUMBER_NAMES:
            try:
                found[name] = int.from_bytes(to_data(value.strip()), "big")
            except ValueError as problem:
                raise CygnetError(f"{path}: {name}: {problem}") from None
    missing = [name for name in NUMBER_NAMES if name not in found]
    if missing:
        raise CygnetError(f"{path}: no RSA key: {missing[0]} is missing")
    try:
        return PrivateKey.from_numbers(*(found[name] for name in NUMBER_NAMES))
    except BadKey as problem:
        raise CygnetError(f"{path}: {problem}") from None


def keys_of(path: Path) -> list[RsaSecret]:
    """The RSA entries of a secrets file; a file without any says why it has none."""
    secrets = load_secrets(path)
    if not secrets.private:
        missing = f"{path}: there is no RSA key in it; ipsec newhostkey makes one"
        raise CygnetError(secrets.problems[0] if secrets.problems else missing)
    return list(secrets.private)


def pick(path: Path, wanted: str) -> HostKey:
    """The host's key: the one labelled ``wanted``, else the one without label, else the only one."""
    entries = keys_of(path)
    if wanted:
        found = [entry for entry in entries if wanted in map(str, entry.indices)]
    else:
        found = [entry for entry in entries if not entry.indices] or entries
    if len(found) == 1:
        return describe(found[0])
    labels = ", ".join(sorted({str(index) for entry in entries for index in entry.indices if index}))
    problem = f"no key for {wanted}" if not found else "more than one key"
    raise CygnetError(f"{path}: {problem}; choose by --id" + (f" one of {labels}" if labels else ""))


def describe(entry: RsaSecret) -> HostKey:
    """What the file says of a key beside its numbers."""
    comment = _comment(entry.where)
    words = comment.split()
    host = words[3] if len(words) > 3 else socket.gethostname()
    labels = [index for index in entry.indices if index]
    names = [index for index in labels if index.type in (IdType.FQDN, IdType.USER_FQDN)]
    identity = str((names + labels)[0]) if labels else ""
    return HostKey(entry.key.public, comment, host, identity)


def _comment(where: str) -> str:
    """The line "RSA ... bits" in the entry that begins at ``where`` (file:line)."""
    path, _, line = where.rpartition(":")
    if not line.isdecimal():
        return ""
    entry = _read(Path(path)).splitlines()[int(line) - 1 :]
    inside = takewhile(lambda text: not text or text[0] in " \t#", entry[1:])
    return next((text.strip()[2:] for text in inside if text.strip().startswith(COMMENT)), "")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(1 << 20).decode("latin-1")
    except OSError as problem:
        raise CygnetError(f"{path}: {problem.strerror}") from None
