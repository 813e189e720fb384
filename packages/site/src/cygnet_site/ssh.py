"""Lines of authorized_keys: a type, the key in base64, a comment."""

from __future__ import annotations

import base64
import struct

TYPES = (
    "ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
)  # fmt: skip


def public_key(text: str) -> str:
    """The line, tidied. ValueError where it is none; it is not shown, as it may be a private one."""
    words = text.strip().split(maxsplit=2)
    if "PRIVATE KEY" in text:
        raise ValueError(
            "this is a private key, which belongs on your own machine alone: write the line of a .pub file"
        )
    if any(not char.isprintable() for char in text.strip()):
        raise ValueError("a public key is one line")
    if not words or words[0] not in TYPES:
        raise ValueError("a public key begins with its type, such as ssh-ed25519: write the line of a .pub file")
    if len(words) < 2 or not _is_blob(words[1], words[0]):
        raise ValueError(f"this {words[0]} key is damaged, or cut short: write the whole line of a .pub file")
    return " ".join(words)


def blob(line: str) -> str:
    """What makes it this key and no other."""
    return line.split()[1]


def _is_blob(text: str, kind: str) -> bool:
    """Whether the fields of the key fill it to the end, and the first is its type (RFC 4253, 6.6)."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return False
    fields = []
    while data:
        if len(data) < 4 or (length := struct.unpack(">I", data[:4])[0]) > len(data) - 4:
            return False
        fields.append(data[4 : 4 + length])
        data = data[4 + length :]
    return len(fields) > 1 and fields[0] == kind.encode()
