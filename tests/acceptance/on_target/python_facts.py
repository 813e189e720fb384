"""Runs on the box: what its Python is and can do, as one JSON object."""

import asyncio
import hashlib
import hmac
import importlib
import json
import socket
import struct
import sys

MODULES = ("asyncio", "hashlib", "hmac", "json", "struct", "socket", "logging", "argparse", "ipaddress", "subprocess")
NETLINK_XFRM = 6
NLMSG = struct.Struct("=IHHII")


async def both() -> list[str]:
    """Two tasks and a child process, side by side."""

    async def child() -> str:
        process = await asyncio.create_subprocess_exec("uname", "-s", stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        return output.decode().strip()

    return list(await asyncio.gather(child(), asyncio.sleep(0.01, "slept")))


def xfrm_answers() -> int:
    """Ask the kernel for its SAs (XFRM_MSG_GETSA, dump) over netlink; the answer's message type."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_XFRM) as netlink:
        netlink.bind((0, 0))
        netlink.settimeout(5)
        netlink.send(NLMSG.pack(NLMSG.size, 0x12, 0x301, 1, 0))
        return int(NLMSG.unpack_from(netlink.recv(4096))[1])


facts = {
    "version": list(sys.version_info[:2]),
    "implementation": sys.implementation.name,
    "modules": [name for name in MODULES if importlib.import_module(name)],
    "asyncio": asyncio.run(both()),
    "xfrm": xfrm_answers(),
    "sha256": hashlib.sha256(b"abc").hexdigest(),
    "md5": hashlib.md5(b"abc").hexdigest(),  # noqa: S324 - what FreeS/WAN peers use
    "hmac": hmac.new(b"Jefe", b"what do ya want for nothing?", "sha1").hexdigest(),
    "long": pow(3, 2**64, 2**61 - 1),
    "float": [0.1 + 0.2, 2.0**0.5],
}
print(json.dumps(facts))
