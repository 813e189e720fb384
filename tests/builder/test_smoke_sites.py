"""Boxes of site files in QEMU: how their cards are joined, and what is said before any of them is started."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from labgrid import Environment

from builder import sites
from builder.boards import load_board
from builder.errors import CygnetError
from builder.image.header import write_beside
from builder.plan import Project
from builder.progress import Lines
from builder.settings import PROJECT, settings
from builder.smoke.door import door
from builder.smoke.report import JUNIT, copy_report, place_for
from builder.smoke.sites import Shelf, cards_of, environment, prepared, provider_for, read, stock_image

EXAMPLE = PROJECT / "docs/examples/repository"
PC486 = load_board(PROJECT / "board", "pc486")
LAN = '\n[[lan]]\ninterface = "{0}"\naddress = "192.168.77.1/24"\n'
WAN = '\n[wan]\ninterface = "{0}"\naddress = "{1}"\n'


def write(folder: Path, name: str, *tables: str) -> Path:
    file = folder / f"{name}.toml"
    file.write_text(f'format = 1\nname = "{name}"\n' + "".join(tables))
    return file


def shelf(folder: Path, *files: Path) -> Shelf:
    return Shelf(PC486, folder / "disk.img", folder, tuple(sites.read(file) for file in files))


def test_two_wans_are_on_one_wire_with_a_provider(tmp_path: Path) -> None:
    """The hub has a fixed address, the shop's is given by the provider, whose router is the one that the hub names."""
    hub = write(tmp_path, "hub", WAN.format("eth0", "203.0.113.5/24"), 'gateway = "203.0.113.1"\n', LAN.format("eth1"))
    shop = write(tmp_path, "shop", WAN.format("eth2", "dhcp"), LAN.format("eth0"))
    cards = cards_of(shelf(tmp_path, hub, shop), Path("/s"))
    first, lan = (card.words("nic") for card in cards["hub"])
    assert first[:2] == ["-netdev", "hubport,hubid=8,id=card0"]
    assert [word for word in first if "filter-dump" in word] == [
        f"filter-dump,id=card0-dump,netdev=card0,file={tmp_path}/wan.pcap"
    ]
    assert first[6:] == [
        "-netdev", "dgram,local.type=unix,local.path=/s/hub,remote.type=unix,remote.path=/s/shop,id=card0-8-0",
        "-netdev", "hubport,hubid=8,netdev=card0-8-0,id=card0-8-0-port",
        "-netdev", "dgram,local.type=unix,local.path=/s/qemu.wire,remote.type=unix,remote.path=/s/door.wire,id=card0-8-1",
        "-netdev", "hubport,hubid=8,netdev=card0-8-1,id=card0-8-1-port",
        "-netdev", "user,ipv6=off,net=203.0.113.0/24,host=203.0.113.1,dns=203.0.113.2,dhcpstart=203.0.113.3,id=card0-9-0",
        "-netdev", "hubport,hubid=9,netdev=card0-9-0,id=card0-9-0-port",
        "-netdev", "dgram,local.type=unix,local.path=/s/qemu.provider,remote.type=unix,remote.path=/s/door.provider,id=card0-9-1",
        "-netdev", "hubport,hubid=9,netdev=card0-9-1,id=card0-9-1-port",
    ]  # fmt: skip
    assert lan == ["-netdev", "hubport,hubid=1,id=card1", "-device", "nic,netdev=card1,mac=52:54:00:c9:10:02"]
    backends = [card.backend for card in cards["shop"]]
    wire = "dgram,local.type=unix,local.path=/s/shop,remote.type=unix,remote.path=/s/hub"
    assert backends == ["hubport,hubid=0", "hubport,hubid=1", wire]
    addresses = [card.mac for box in cards.values() for card in box]
    assert len(set(addresses)) == len(addresses)


def test_a_box_alone_is_at_its_provider(tmp_path: Path) -> None:
    site = write(tmp_path, "shop", WAN.format("eth0", "dhcp"), LAN.format("eth3"))
    first, *others = cards_of(shelf(tmp_path, site), Path("/s"))["shop"]
    assert first.backend == "user,ipv6=off,net=192.0.2.0/24,host=192.0.2.1,dns=192.0.2.2,dhcpstart=192.0.2.3"
    assert [card.backend for card in others] == ["hubport,hubid=1", "hubport,hubid=2", "hubport,hubid=3"]


def test_the_provider_hears_what_is_for_it_and_nothing_else(tmp_path: Path) -> None:
    """Frames between the boxes are not the provider's: it would answer for them, or send them out of this machine."""
    ends = {side: (tmp_path / f"door.{side}", tmp_path / f"qemu.{side}") for side in ("wire", "provider")}
    router, box, everybody = b"\x52\x55\xcb\0q\1", bytes.fromhex("525400c91101"), b"\xff" * 6
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as provider,
        door(ends["wire"], ends["provider"]),
    ):
        # What comes before QEMU is there is lost, and ends nothing.
        wire.sendto(router + b"early", str(ends["wire"][0]))
        for end, side in ((wire, "wire"), (provider, "provider")):
            end.settimeout(20)
            end.bind(str(ends[side][1]))
        for frame in (box + b"between the boxes", everybody + b"DHCP", router + b"out"):
            wire.sendto(frame, str(ends["wire"][0]))
        heard = []
        while not heard or heard[-1] != router + b"out":
            heard.append(provider.recv(100))
        assert heard[-2:] == [everybody + b"DHCP", router + b"out"]
        assert box + b"between the boxes" not in heard
        provider.sendto(box + b"answer", str(ends["provider"][0]))
        assert wire.recv(100) == box + b"answer"


def test_labgrid_knows_each_box_by_its_sites_name(tmp_path: Path) -> None:
    files = [write(tmp_path, name, WAN.format("eth0", "dhcp"), LAN.format("eth1")) for name in ("hub", "shop")]
    with environment(shelf(tmp_path, *files)) as file:
        assert set(Environment(str(file)).config.get_targets()) == {"hub", "shop"}


MISTAKES = {
    "none": ([], r"no site file is named: give one or two, by --site or in pytest\.ini as cygnet_sites"),
    "three": (["dhcp", "dhcp", "dhcp"], "3 sites are more than 2, the ends of a wire"),
    "two networks": (["203.0.113.5/24", "198.51.100.7/24"],
                     r"s1\.toml:6: 198\.51\.100\.7/24 is in another network than 203\.0\.113\.5/24 of .*s0\.toml"),
    "small": (["203.0.113.5/30", "dhcp"], r"s0\.toml:6: 203\.0\.113\.4/30 is too small for a router"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_what_cannot_be_joined_is_named(tmp_path: Path, case: str) -> None:
    addresses, told = MISTAKES[case]
    files = [
        write(tmp_path, f"s{number}", WAN.format("eth0", address), LAN.format("eth1"))
        for number, address in enumerate(addresses)
    ]
    with pytest.raises(CygnetError, match=told):
        read(files)


def test_two_sites_of_one_name_are_refused(tmp_path: Path) -> None:
    first = write(tmp_path, "shop", LAN.format("eth1"))
    shutil.copy(first, other := tmp_path / "other.toml")
    with pytest.raises(CygnetError, match=r"other\.toml:2: .*shop\.toml has the same name: rename one of them"):
        read([first, other])


def test_a_card_that_a_twin_has_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(CygnetError, match=r"shop\.toml:5: in QEMU there is no card wan: they are eth0, eth1 to eth7"):
        read([write(tmp_path, "shop", WAN.format("wan", "dhcp"), LAN.format("eth1"))])


def test_without_an_address_the_provider_is_somewhere() -> None:
    assert provider_for(()).startswith("user,ipv6=off,net=192.0.2.0/24,")


def test_what_a_fetched_image_is_started_with_must_be_beside_it(tmp_path: Path) -> None:
    image, project = tmp_path / "disk.img", Project(settings(), Lines())
    image.write_bytes(b"x")
    write_beside(image, "mipsel")
    with pytest.raises(CygnetError, match=r"/kernel is missing: mipsel is started with it; fetch it with the image$"):
        stock_image(project, "pc486", image)
    (tmp_path / "kernel").touch()
    board, _ = stock_image(project, "pc486", image)
    assert board.name == "mipsel"
    write_beside(image, "kirkwood")
    with pytest.raises(CygnetError, match="kirkwood has no twin in QEMU"):
        stock_image(project, "pc486", image)


def test_the_boxes_of_a_run_are_that_runs(tmp_path: Path) -> None:
    here = settings()
    project = Project(type(here)(here.cache, images=tmp_path), Lines())
    with (
        prepared(project, PC486, tmp_path / "disk.img", ()),
        pytest.raises(CygnetError, match=r"another run has the boxes in .*pc486/sites now; wait for it$"),
        prepared(project, PC486, tmp_path / "disk.img", ()),
    ):
        pass


class TestReport:
    """The JUnit file has a second place, if the user wants one."""

    def test_it_is_put_there(self, tmp_path: Path) -> None:
        (tmp_path / JUNIT).write_text("<testsuites/>")
        place = place_for(str(tmp_path / "mine.xml"))
        copy_report(tmp_path, place)
        assert place.read_text() == "<testsuites/>"
        assert {file.name for file in tmp_path.iterdir()} == {JUNIT, "mine.xml"}

    def test_a_place_that_is_none_is_said_before_anything_else(self, tmp_path: Path) -> None:
        for place in (tmp_path, tmp_path / "nowhere/mine.xml"):
            with pytest.raises(CygnetError, match=rf"--junit={place}: name a file, in a folder that is there"):
                place_for(str(place))


def pytest_in(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """pytest as a user runs it."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The example, with Cygnet in it."""
    shutil.copytree(EXAMPLE, place := tmp_path / "mine")
    (place / "cygnet").symlink_to(PROJECT)
    return place


def test_the_example_collects_its_tests(repository: Path) -> None:
    done = pytest_in(repository, "--collect-only")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tests/test_vpn.py::test_vpn[0]" in done.stdout


def test_a_secret_that_is_missing_is_one_sentence_in_the_users_own_run(repository: Path) -> None:
    done = pytest_in(repository, "-k", "test_vpn", "-x", "--no-header")
    assert done.returncode == 1
    assert "sites/hub.toml:16: " in done.stdout
    assert "vpn.secrets" in done.stdout
    assert "Traceback" not in done.stdout
    assert "builder/" not in done.stdout.replace("no:cacheprovider", "")


def test_two_boxes_need_two_sites(repository: Path) -> None:
    done = pytest_in(repository, "--fixtures", "tests")
    for name in ("box", "two_boxes", "wire"):
        assert f"\n{name} -- " in done.stdout
