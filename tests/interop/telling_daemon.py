"""Cygnet's daemon on a fake kernel that writes down what it was given: keys, too, for a test to compare.

Nothing else of it is changed but three waits, which would only make tests long.
`python telling_daemon.py FILE [options of ipsec pluto]`; FILE is readable by its owner only.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from cygnet.daemon.main import main
from cygnet.ike import lifetimes
from cygnet.ike.v1 import exchange
from cygnet.kernel import fake
from cygnet.kernel.sa import Algorithm, Sa, SaKey

FILE = Path(sys.argv[1])


class TellingKernel(fake.FakeKernel):
    """The SAs that it has are in FILE, in the order of their coming."""

    def add_sa(self, sa: Sa) -> None:
        super().add_sa(sa)
        self._tell()

    def update_sa(self, sa: Sa) -> None:
        super().update_sa(sa)
        self._tell()

    def move_sa(self, key: SaKey, sa: Sa) -> None:
        super().move_sa(key, sa)
        self._tell()

    def delete_sa(self, key: SaKey) -> None:
        super().delete_sa(key)
        self._tell()

    def _tell(self) -> None:
        new = FILE.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump([_row(sa) for sa in self.sas.values()], file)
        new.replace(FILE)


def _row(sa: Sa) -> dict[str, Any]:
    around = sa.encapsulation
    return {
        "spi": sa.key.spi,
        "protocol": sa.key.protocol,
        "outbound": sa.outbound,
        "source": str(sa.source),
        "destination": str(sa.key.destination),
        "mode": sa.mode,
        "encryption": _algorithm(sa.encryption),
        "integrity": _algorithm(sa.integrity),
        "aead": _algorithm(sa.aead),
        "ports": [around.source_port, around.destination_port] if around else None,
    }


def _algorithm(found: Algorithm | None) -> list[str]:
    return [found.name, found.key.hex()] if found else []


def replace_constant(module: ModuleType, name: str, value: float) -> None:
    """A constant that has another name now is an error, not a slow test."""
    if not 0 < value < getattr(module, name):
        raise ValueError(f"{module.__name__}.{name} is no longer above {value}")
    setattr(module, name, value)


replace_constant(exchange, "FIRST_WAIT", 0.3)
replace_constant(lifetimes, "GRACE", 2.0)
replace_constant(lifetimes, "LINGER", 1.0)
fake.FakeKernel = TellingKernel  # type: ignore[misc]
sys.exit(main(sys.argv[2:]))
