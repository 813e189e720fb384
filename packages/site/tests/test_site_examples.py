"""The commented examples: each makes a box with which nobody who will read its files finds anything wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cygnet_site import read_site
from cygnet_site.check import problems
from cygnet_site.model import Site
from cygnet_site.render import render

EXAMPLES = sorted((Path(__file__).resolve().parents[3] / "docs/examples/sites").glob("*.toml"))
SECRETS = {"secrets/pppoe": "secret\n", "secrets/hub.secrets": '203.0.113.1 198.51.100.7 : PSK "a long random text"\n'}


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.stem)
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """An example with the secrets that it names."""
    for name, text in SECRETS.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.touch(0o600)
        file.write_text(text)
    return read_site(Path(shutil.copy(request.param, tmp_path)))


def test_nothing_is_wrong_with_it(example: Site) -> None:
    assert problems(example) == []


def test_it_has_a_firewall_and_a_way_in(example: Site) -> None:
    made = render(example)
    assert b"\nCOMMIT\n" in made["etc/cygnet/firewall.rules/rules.v4"].content
    assert made["root/.ssh/authorized_keys"].content.startswith(b"ssh-ed25519 ")


def test_every_kind_is_there() -> None:
    assert {path.stem for path in EXAMPLES} == {"branch-office", "hub", "opportunistic-home", "road-warrior-gateway"}
