"""A provider's end of PPPoE: pppoe_server.py INTERFACE. What is said before a session (RFC 2516, section 5) is said
here; the session itself is the kernel's, and pppd's, which asks who calls and gives an address: another each time.

pppd's options are in /tmp/provider; the address of session N is 203.0.113.N+8.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

DISCOVERY = 0x8863
PADI, PADO, PADR, PADS, PADT = 0x09, 0x07, 0x19, 0x65, 0xA7
SERVICE, AC_NAME, HOST_UNIQ, COOKIE = 0x0101, 0x0102, 0x0103, 0x0104
HEADER = struct.Struct("!6s6sHBBHH")
TAG = struct.Struct("!HH")
# The kernel's, below a heading.
SESSIONS = Path("/proc/net/pppoe")
EVERYBODY = b"\xff" * 6


def tags(body: bytes) -> dict[int, bytes]:
    """The tags of a packet."""
    found = {}
    while len(body) >= TAG.size:
        kind, length = TAG.unpack_from(body)
        found[kind] = body[TAG.size : TAG.size + length]
        body = body[TAG.size + length :]
    return found


def packet(to: bytes, own: bytes, code: int, session: int, said: dict[int, bytes]) -> bytes:
    """A discovery packet, with its Ethernet header."""
    body = b"".join(TAG.pack(kind, len(value)) + value for kind, value in said.items())
    return HEADER.pack(to, own, DISCOVERY, 0x11, code, session, len(body)) + body


def serve(interface: str) -> None:
    """Answer whoever asks, one session at a time."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(DISCOVERY))
    wire.bind((interface, DISCOVERY))
    own: bytes = wire.getsockname()[4]
    session, server = 0, None
    while True:
        frame = wire.recv(2048)
        to, caller, _, _, code, _, length = HEADER.unpack_from(frame)
        asked = tags(frame[HEADER.size : HEADER.size + length])
        said = {SERVICE: asked.get(SERVICE, b""), AC_NAME: b"provider"}
        said |= {kind: asked[kind] for kind in (HOST_UNIQ,) if kind in asked}
        if code == PADI and to == EVERYBODY:
            wire.send(packet(caller, own, PADO, 0, said | {COOKIE: caller}))
        elif code == PADR and to == own and asked.get(COOKIE) == caller:
            if server:
                server.terminate()
                server.wait()
            session += 1
            server = start(interface, session, caller)
            wire.send(packet(caller, own, PADS, session, said))


def start(interface: str, session: int, caller: bytes) -> subprocess.Popen[bytes]:
    """The session's pppd; it listens when this returns."""
    attached = f"{session}:{caller.hex(':')}"
    addresses = f"203.0.113.1:203.0.113.{session + 8}"
    words = ["pppd", "file", "/tmp/provider", f"nic-{interface}", "pppoe-sess", attached, addresses]
    server = subprocess.Popen(words)
    while len(SESSIONS.read_text().splitlines()) < 2 and server.poll() is None:
        time.sleep(0.05)
    return server


serve(sys.argv[1])
