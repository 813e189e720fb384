"""How many tunnels a core negotiates: `.venv/bin/python bench/ike_rate.py [tunnels] [rounds]`, as root.

IKEv1 main mode and quick mode with RSA-2048 signatures and Diffie-Hellman group 14 (PFS too), Cygnet against Cygnet
and strongSwan against strongSwan, turn and turn about in one run: both daemons of a pair on one core, in network
namespaces.  Each tunnel is between two addresses of its own, so each has a main mode.

The rate is tunnels by CPU seconds of both daemons, from when they are ready until all tunnels stand: the wall time
would be that of the few that wait for a packet to be sent again.  Not the same on both sides: strongSwan installs its
SAs in a user-space ESP (kernel-libipsec), Cygnet in a fake kernel.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests/interop")]

import paths  # noqa: E402, F401 - first: the others need it
import strongswan  # noqa: E402
from credentials import Key, make_key  # noqa: E402
from debian_tree import tree  # noqa: E402
from network import Namespaces, Node  # noqa: E402

TUNNELS, ROUNDS = 60, 3
PATIENCE = 120.0
DAEMON_CORE, OUR_CORE = {0}, {1}
SOURCE = str(ROOT / "packages/cygnet/src")
CYGNET = (sys.executable, "-OO", "-m")
NETS = {"west": "192.0.2", "east": "198.51.100"}
# OpenSSL first: GMP's exponentiation, which the tests use, is a few times slower.
strongswan.PLUGINS = strongswan.PLUGINS.replace("gmp openssl", "openssl gmp")
# A log of every exchange at level 4, as the tests have it, would be half of charon's work.
strongswan.CONFIG = strongswan.CONFIG.replace("ike = 2", "ike = 1").replace("chd = 4", "chd = 1")


def wait_for(log: Callable[[], str], words: str, count: int) -> None:
    """Wait until a log has so many lines with these words."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if log().count(words) >= count:
            return
        time.sleep(0.01)
    raise SystemExit(f"only {log().count(words)} of {count} {words!r} after {PATIENCE:.0f} s:\n{log()[-2000:]}")


def cpu_seconds(*pids: int) -> float:
    """User and system time of processes so far."""
    stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(stat[11]) + int(stat[12]) for stat in stats) / os.sysconf("SC_CLK_TCK")


def nodes(network: Namespaces, tunnels: int) -> tuple[Node, Node]:
    """Two machines with an address for each tunnel."""
    west, east = network.node("west"), network.node("east")
    network.wire((west, "wan", "203.0.113.1/24"), (east, "wan", "203.0.113.2/24"))
    for node, ours, theirs, via in ((west, "west", "east", 2), (east, "east", "west", 1)):
        for number in range(1, tunnels + 1):
            node.ip(f"address add {NETS[ours]}.{number}/32 dev wan")
        node.ip(f"route add {NETS[theirs]}.0/24 via 203.0.113.{via}")
    return west, east


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """What is started within stays on the daemons' core."""
    os.sched_setaffinity(0, DAEMON_CORE)
    try:
        yield
    finally:
        os.sched_setaffinity(0, OUR_CORE)


def cygnet(folder: Path, tunnels: int, keys: dict[str, Key]) -> float:
    """CPU seconds for all tunnels, Cygnet at both ends."""
    with Namespaces() as network:
        west, east = nodes(network, tunnels)
        pids = [start_cygnet(node, folder, tunnels, keys) for node in (east, west)]
        began = cpu_seconds(*pids)
        ipsec = [*CYGNET, "cygnet.cli", "auto", "--asynchronous", "--ctlbase", str(folder / "west"), "--up"]
        for number in range(1, tunnels + 1):
            west.text(*ipsec, f"t{number}", PYTHONPATH=SOURCE)
        wait_for((folder / "west.log").read_text, "IPsec SA established", tunnels)
        return cpu_seconds(*pids) - began


def start_cygnet(node: Node, folder: Path, tunnels: int, keys: dict[str, Key]) -> int:
    """A daemon that is ready; its process id."""
    base = folder / node.name
    base.with_suffix(".conf").write_text(ipsec_conf(tunnels, keys))
    secrets = base.with_suffix(".secrets")
    secrets.write_text(keys[node.name].secrets)
    secrets.chmod(0o600)
    words = ["--noklips", "--config", f"{base}.conf", "--secretsfile", str(secrets), "--ctlbase", str(base)]
    with one_core():
        program = node.start([*CYGNET, "cygnet.daemon", *words], base.with_suffix(".log"), PYTHONPATH=SOURCE)
    wait_for(base.with_suffix(".log").read_text, "Pluto initialized", 1)
    return program.pid


def ipsec_conf(tunnels: int, keys: dict[str, Key]) -> str:
    """One connection for each pair of addresses; both ends have the same."""
    lines = ["version 2", "config setup", "\tinterfaces=ipsec0=wan", "\tuniqueids=no"]
    lines += ["conn %default", "\tike=aes256-sha2_256-modp2048"]
    lines += ["\tesp=aes256-sha2_256", "\tauthby=rsasig", "\tauto=add", "\tleftid=@west", "\trightid=@east"]
    lines += [f"\t{side}rsasigkey={keys[name].rsasigkey}" for side, name in (("left", "west"), ("right", "east"))]
    for number in range(1, tunnels + 1):
        lines += [f"conn t{number}", f"\tleft={NETS['west']}.{number}", f"\tright={NETS['east']}.{number}"]
        lines += [f"\tleftsubnet=10.1.{number}.0/24", f"\trightsubnet=10.2.{number}.0/24"]
    return "\n".join(lines) + "\n"


def strongswans(folder: Path, tunnels: int, keys: dict[str, Key]) -> float:
    """CPU seconds for all tunnels, strongSwan at both ends."""
    with Namespaces() as network:
        west, east = (start_strongswan(node, folder, tunnels, keys) for node in nodes(network, tunnels))
        pids = [swan.pid for swan in (west, east)]
        began = cpu_seconds(*pids)
        for number in range(1, tunnels + 1):
            west.swanctl("--initiate", "--child", f"net{number}", "--timeout", "-1")
        wait_for(west.log, "established with SPIs", tunnels)
        return cpu_seconds(*pids) - began


def start_strongswan(node: Node, folder: Path, tunnels: int, keys: dict[str, Key]) -> strongswan.StrongSwan:
    """A charon that is ready."""
    with one_core():
        swan = strongswan.StrongSwan(node, tree("strongswan"), folder / node.name)
    swan.add_file(f"private/{node.name}.pem", keys[node.name].pem)
    for name, key in keys.items():
        swan.add_file(f"pubkey/{name}.pem", key.public_pem)
    swan.load(swanctl_conf(tunnels, node.name, next(name for name in NETS if name != node.name)))
    return swan


def swanctl_conf(tunnels: int, here: str, there: str) -> str:
    """The same in strongSwan's words."""
    conns = [
        f"""t{number} {{
  version = 1
  local_addrs = {NETS[here]}.{number}
  remote_addrs = {NETS[there]}.{number}
  proposals = aes256-sha256-modp2048
  local {{\n auth = pubkey\n id = "@{here}"\n pubkeys = {here}.pem\n }}
  remote {{\n auth = pubkey\n id = "@{there}"\n pubkeys = {there}.pem\n }}
  children {{ net{number} {{
    local_ts = 10.{1 if here == "west" else 2}.{number}.0/24
    remote_ts = 10.{1 if there == "west" else 2}.{number}.0/24
    esp_proposals = aes256-sha256-modp2048
  }} }}
}}"""
        for number in range(1, tunnels + 1)
    ]
    return "connections {\n" + "\n".join(conns) + "\n}\n"


def main() -> None:
    """Measure and say."""
    given = tuple(map(int, sys.argv[1:]))
    tunnels, rounds = given + (TUNNELS, ROUNDS)[len(given) :]
    keys = {name: make_key() for name in NETS}
    os.sched_setaffinity(0, OUR_CORE)
    rates: dict[str, list[float]] = {"strongSwan": [], "Cygnet": []}
    for number in range(rounds):
        for name, measure in (("strongSwan", strongswans), ("Cygnet", cygnet)):
            with tempfile.TemporaryDirectory() as folder:
                rates[name].append(tunnels / measure(Path(folder), tunnels, keys))
            print(f"round {number + 1}: {name} {rates[name][-1]:.0f} tunnels by CPU second", flush=True)
    medians = {name: statistics.median(found) for name, found in rates.items()}
    print(f"by CPU second Cygnet negotiates {medians['Cygnet'] / medians['strongSwan']:.2f} times strongSwan's tunnels")


if __name__ == "__main__":
    main()
