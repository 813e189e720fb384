"""Whether the boxes of a user's own site files are what the files say: the acceptance of `./inv smoke --site`.

Small, and of one box by itself: what two boxes do with each other is for the user's own tests (docs/ci.md), what Cygnet
does on a board is proved in tests/acceptance.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from ipaddress import IPv4Interface
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builder import sites
from builder.boxes import ports
from builder.smoke.box import Box
from builder.smoke.sites import Shelf

if TYPE_CHECKING:
    from cygnet_site.model import Site

PATIENCE = 90
CONF = "etc/ipsec.conf"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test once for each site."""
    given = metafunc.config.getoption("cygnet_site") or metafunc.config.getini("cygnet_sites")
    metafunc.parametrize("number", range(len(given)), ids=[Path(file).stem for file in given])


@pytest.fixture
def here(number: int, cygnet_boxes: tuple[Box, ...]) -> Box:
    """One of the boxes, logged in."""
    cygnet_boxes[number].log_in()
    return cygnet_boxes[number]


@pytest.fixture
def site(number: int, cygnet_shelf: Shelf) -> Site:
    """What it should be."""
    return cygnet_shelf.sites[number]


def test_boots(here: Box, site: Site, record_property: Callable[[str, object], None]) -> None:
    """The box boots to a login on the serial line, and is called as its site"""
    record_property("boot seconds", f"{here.boot_seconds:.1f}")
    assert here.text("id -u; hostname").split() == ["0", site.name]


def test_files(here: Box, site: Site) -> None:
    """All files of the site are on the box, root's; secrets for nobody else to read"""
    assert (here.boot_facts()["data"], here.boot_facts()["seed"]) == ("ok", "credited")
    for path, file in sites.render(site).items():
        words = here.text(f"stat -c '%u %g %a %s' /{path}").split()
        assert words == ["0", "0", f"{file.mode:o}", str(len(file.content))], path
        # Of a secret not even the hash is for a log.
        if not file.secret:
            assert here.text(f"sha256sum </{path}").split()[0] == sha256(file.content).hexdigest(), path


def test_addresses(here: Box, site: Site) -> None:
    """Each interface has the address that the site gives it, and the router is the site's"""
    for _, port in ports(site):
        if isinstance(port.address, IPv4Interface) or (port.address, port.vlan) == ("dhcp", None):
            wanted = f" inet {port.address} " if port.address != "dhcp" else " inet "
            here.wait_for(f"ip -4 -o address show dev {port.device}", partial(contains, wanted), PATIENCE)
    if site.wan and site.wan.gateway:
        assert f"default via {site.wan.gateway} " in here.text("ip -4 route show default")


def contains(part: str, text: str) -> bool:
    """Whether the text has that part."""
    return part in text


def test_firewall(here: Box) -> None:
    """The site's firewall is in force"""
    here.wait_for("box status", lambda text: "\nfirewall: policy\n" in text, PATIENCE)


def test_ipsec(here: Box) -> None:
    """ipsec.conf and ipsec.secrets are read without a fault (`ipsec verify`)"""
    output, _ = here.run("ipsec verify", PATIENCE)
    lines = [line for line in output.splitlines() if line.startswith(("Configuration ", "Secrets "))]
    assert len(lines) == 2, output
    assert all(line.endswith("[OK]") for line in lines), output


def test_services(here: Box) -> None:
    """All services run, and the box says that it is well (`box status`)"""
    output = here.wait_for("box status", lambda text: "state: ok" in text, PATIENCE)
    services = [line for line in output.splitlines() if line.startswith("service.")]
    assert services
    assert all(line.endswith(": run") for line in services), output
