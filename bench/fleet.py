"""What a fleet costs, and how the cost grows: `.venv/bin/python bench/fleet.py [BOXES ...]`, 10 100 1000 without.

A hub and its spokes. "secrets": a shared secret for each pair; "pool": RSA keys that were made before; "RSA": keys made
in the run. Times are wall time of `fleet` itself with as many jobs as there are cores, each also as a multiple of the
first size's; the last columns are a second run, which finds nothing to do, and one with a row more.
"""

from __future__ import annotations

import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: E402
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat  # noqa: E402

from builder.fleet.fleet import Wanted, fleet  # noqa: E402
from builder.fleet.spread import on_cores  # noqa: E402
from builder.progress import Lines  # noqa: E402

SIZES = (10, 100, 1000)
JOBS = 2
TEMPLATE = ROOT / "docs/examples/fleet/site.toml.j2"
# A key whose private half nobody has.
_BLOB = b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes(32)
OPERATOR = f"ssh-ed25519 {b64encode(_BLOB).decode()} ops\n"
COLUMNS = "name,hub,address,lan,auth,gateway,timezone,dns"


class Silent(Lines):
    """Nothing is shown."""

    def say(self, sentence: str) -> None:
        """See Progress."""


def rows(boxes: int, auth: str) -> Iterator[str]:
    """A hub and its spokes."""
    yield "hub,,198.18.0.1/15,10.0.0.1/24,,198.19.255.254,Europe/Vienna,"
    for number in range(1, boxes):
        address = f"198.18.{number // 250 + 1}.{number % 250 + 1}/15"
        lan = f"10.{number // 250 + 1}.{number % 250}.1/24"
        yield f"shop{number},hub,{address},{lan},{auth},198.19.255.254,Europe/Vienna,9.9.9.9"


def pem(_: int) -> bytes:
    """A key made before."""
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def fill(pool: Path, keys: int) -> None:
    """Make the pool."""
    pool.mkdir()
    for number, key in enumerate(on_cores(pem, range(keys), JOBS)):
        (pool / f"{number}.pem").write_bytes(key)


def run(folder: Path, boxes: int, auth: str, pool: Path | None) -> float:
    """Seconds of one run."""
    table, key = folder / "sites.csv", folder / "operator.key"
    table.write_text("\n".join([COLUMNS, *rows(boxes, auth), ""]))
    wanted = Wanted(table, TEMPLATE, folder / "fleet", key, not key.exists(), pool=pool, jobs=JOBS)
    began = time.monotonic()
    fleet(wanted, Silent(), lambda _: "")
    return time.monotonic() - began


def measure(boxes: int, way: str) -> tuple[float, float, float]:
    """A first run, a second, and one with a row more."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "operators.pub").write_text(OPERATOR)
        pool = folder / "pool" if way == "pool" else None
        if pool:
            fill(pool, boxes)
        auth = "psk" if way == "secrets" else "rsa"
        first, second = (run(folder, boxes, auth, pool) for _ in range(2))
        return first, second, run(folder, boxes + 1, auth, None)


def main(sizes: Sequence[int]) -> None:
    """Measure and print."""
    table = Table("keys", "boxes", "first run", "times the smallest", "second run", "a row more")
    for way in ("secrets", "pool", "RSA"):
        smallest = 0.0
        for boxes in sizes:
            first, second, more = measure(boxes, way)
            smallest = smallest or first
            table.add_row(
                way, str(boxes), f"{first:.1f} s", f"{first / smallest:.1f}", f"{second:.2f} s", f"{more:.2f} s"
            )
    Console().print(table)


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or SIZES)
