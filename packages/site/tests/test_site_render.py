"""From a site file to the files of a box."""

from __future__ import annotations

from pathlib import Path

from cygnet_site import read_site
from cygnet_site.render import render

OVERLAY = Path(__file__).resolve().parents[3] / "overlay"
STOCK = """
format = 1
name = "shop1"
[wan]
interface = "eth0"
[[lan]]
interface = "eth1"
address = "192.168.77.1/24"
"""


def statements(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_a_site_that_says_no_more_than_the_stock_image_has_its_firewall(tmp_path: Path) -> None:
    file = tmp_path / "shop1.toml"
    file.write_text(STOCK)
    made = render(read_site(file))["etc/cygnet/firewall"].content.decode()
    assert statements(made) == statements((OVERLAY / "etc/cygnet/firewall").read_text())
