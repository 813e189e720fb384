"""A folder with a table, a template and an operator's key, and runs of the fleet in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builder.fleet.fleet import Wanted, fleet

HEADER = "name,hub,address,lan,auth,gateway"
HUB = "hub,,203.0.113.1/24,10.1.0.1/24,,203.0.113.254"
SHOP1 = "shop1,hub,dhcp,10.1.1.1/24,rsa,"
SHOP2 = "shop2,hub,203.0.113.2/24,10.1.2.1/24,psk,203.0.113.254"
SHOP3 = "shop3,hub,203.0.113.3/24,10.1.3.1/24,psk,203.0.113.254"
TEMPLATE = """\
format = 1
name = {{ row.name }}
[wan]
interface = "eth0"
address = {{ row.address }}
{% if row.gateway %}
gateway = {{ row.gateway }}
{% endif %}
[[lan]]
interface = "eth1"
address = {{ row.lan }}
[ipsec]
files = {{ ipsec.files }}
secrets = {{ ipsec.secrets }}
"""
PASSPHRASE = "correct horse"  # noqa: S105 - nobody's


class Told:
    """What was shown."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.steps: list[str] = []

    def plan(self, total: int, cached: int) -> None:
        pass

    def started(self, name: str) -> None:
        pass

    def finished(self, name: str, seconds: float) -> None:  # noqa: ARG002 - as Progress
        self.steps.append(name)

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


@dataclass(frozen=True)
class Scene:
    """A folder of its own."""

    at: Path

    @property
    def fleet(self) -> Path:
        return self.at / "fleet"

    def wanted(self, **changes: object) -> Wanted:
        key = self.at / "operator.key"
        plain = Wanted(
            self.at / "sites.csv", self.at / "site.toml.j2", self.fleet, key, new_key=not key.exists(), jobs=2
        )
        return replace(plain, **changes)  # type: ignore[arg-type]

    def write(self, *rows: str, template: str = TEMPLATE) -> Scene:
        (self.at / "sites.csv").write_text("\n".join([HEADER, *rows, ""]))
        (self.at / "site.toml.j2").write_text(template)
        return self

    def run(self, passphrase: str = PASSPHRASE, **changes: object) -> Told:
        told = Told()
        fleet(self.wanted(**changes), told, lambda _: passphrase)
        return told

    def state(self, *without: str) -> dict[str, tuple[int, bytes]]:
        """Every file of the fleet: when it was written, and its bytes."""
        return {
            name: (file.stat().st_mtime_ns, file.read_bytes())
            for file in sorted(self.fleet.rglob("*"))
            if file.is_file() and (name := str(file.relative_to(self.fleet))) not in without
        }


def changed(before: dict[str, tuple[int, bytes]], after: dict[str, tuple[int, bytes]]) -> Sequence[str]:
    """Names of files that are new, gone, or written again."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
