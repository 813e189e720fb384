"""What the script does with `ip`, which is played by a small program that notes its arguments."""

import shutil
import subprocess
from pathlib import Path

import cygnet.updown
import pytest

SCRIPT = Path(cygnet.updown.__file__).with_name("_updown")
SHELLS = [
    pytest.param([found, *rest], id=name)
    for name, *rest in (("sh",), ("dash",), ("bash", "--posix"), ("busybox", "sh"))
    if (found := shutil.which(name))
]
NEAR = "192.0.2.0/24"
PLAYER = f"""#!/bin/sh
case "$*" in *" proto kernel") case $* in *" {NEAR} "*) echo "{NEAR} dev eth0 scope link" ;; esac; exit ;; esac
echo "${{0##*/}} $*" >> "$NOTES"
case "$3 $4" in "get 192.0.2.1" | "get 2001:db8:1::1") echo "local $4 dev lo src $4 uid 0" ;; get*) echo "10.2.0.0 via 192.0.2.253 dev eth0 src 192.0.2.1 uid 0"; echo "    cache via nowhere" ;; esac
case " $* " in *" $BROKEN "*) echo "RTNETLINK answers: Invalid argument" >&2; exit 2 ;; esac
"""
FACTS = {
    "PLUTO_VERSION": "1.1",
    "PLUTO_CONNECTION": "net",
    "PLUTO_CONN_TYPE": "tunnel",
    "PLUTO_INTERFACE": "ipsec0",
    "PLUTO_REQID": "16384",
    "PLUTO_NEXT_HOP": "192.0.2.254",
    "PLUTO_ME": "192.0.2.1",
    "PLUTO_PEER": "192.0.2.2",
    "PLUTO_MY_CLIENT": "10.1.0.0/24",
    "PLUTO_PEER_CLIENT": "10.2.0.0/24",
    "PLUTO_MY_PROTOCOL": "0",
    "PLUTO_PEER_ID": "@east $(touch /tmp/never)",
}


class Box:
    """A box with a shell, on which the script runs."""

    def __init__(self, folder: Path, shell: list[str]) -> None:
        self.folder, self.shell, self.notes = folder, shell, folder / "notes"
        (folder / "ip").write_text(PLAYER)
        (folder / "ip").chmod(0o755)

    def run(self, verb: str, *words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        self.notes.write_text("")
        facts = FACTS | {f"PLUTO_{name}": value for name, value in changes.items()} | {"PLUTO_VERB": verb}
        extra = {"PATH": f"{self.folder}:/usr/bin:/bin", "NOTES": str(self.notes), "BROKEN": changes.get("BROKEN", "-")}
        return subprocess.run(
            [*self.shell, str(SCRIPT), *words], env=facts | extra, capture_output=True, text=True, check=False
        )

    def does(self, verb: str, *words: str, **changes: str) -> list[str]:
        """What was called; the script must succeed and say nothing."""
        done = self.run(verb, *words, **changes)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        return self.notes.read_text().splitlines()


@pytest.fixture(params=SHELLS)
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Box:
    return Box(tmp_path, request.param)


SIX = {"PEER_CLIENT": "2001:db8:2::/64", "MY_CLIENT": "2001:db8:1::/64"}
HOSTS = {"MY_CLIENT": "192.0.2.1/32", "PEER_CLIENT": "192.0.2.2/32"}
ROUTES = [
    ("route-client", {}, ["ip -4 route replace 10.2.0.0/24 dev ipsec0"]),
    (
        "route-host",
        HOSTS,
        [
            "ip -4 route get 192.0.2.1",
            "ip -4 route replace 192.0.2.2/32 dev ipsec0 metric 1",
            "ip -4 route replace 192.0.2.2/32 dev ipsec0 src 192.0.2.1",
        ],
    ),
    (
        "route-host",
        HOSTS | {"METRIC": "7", "MTU": "1400"},
        [
            "ip -4 route get 192.0.2.1",
            "ip -4 route replace 192.0.2.2/32 dev ipsec0 metric 8 mtu 1400",
            "ip -4 route replace 192.0.2.2/32 dev ipsec0 src 192.0.2.1 metric 7 mtu 1400",
        ],
    ),
    ("unroute-host", HOSTS, ["ip -4 route del 192.0.2.2/32 dev ipsec0"] * 2),
    # An address that this box does not have: it is gone, or behind the box.
    (
        "route-client",
        {"MY_CLIENT": "10.1.0.7/32"},
        ["ip -4 route get 10.1.0.7", "ip -4 route replace 10.2.0.0/24 dev ipsec0"],
    ),
    (
        "route-host-v6",
        SIX | {"MY_CLIENT": "2001:db8:1::1/128"},
        ["ip -6 route get 2001:db8:1::1", "ip -6 route replace 2001:db8:2::/64 dev ipsec0 src 2001:db8:1::1"],
    ),
    ("route-client-v6", SIX | {"MY_CLIENT": "2001:db8::/32"}, ["ip -6 route replace 2001:db8:2::/64 dev ipsec0"]),
    ("route-client-v6", SIX, ["ip -6 route replace 2001:db8:2::/64 dev ipsec0"]),
    ("route-client", SIX, ["ip -6 route replace 2001:db8:2::/64 dev ipsec0"]),
    ("route-client-v6", {}, ["ip -4 route replace 10.2.0.0/24 dev ipsec0"]),
    (
        "route-client",
        {"MY_SOURCEIP": "10.1.0.1", "METRIC": "7", "MTU": "1400"},
        [
            "ip -4 route get 10.1.0.1",
            "ip -4 address add 10.1.0.1 dev ipsec0",
            "ip -4 route replace 10.2.0.0/24 dev ipsec0 src 10.1.0.1 metric 7 mtu 1400",
        ],
    ),
    (
        "route-client",
        {"PEER_CLIENT": "0.0.0.0/0"},
        ["ip -4 route replace 0.0.0.0/1 dev ipsec0", "ip -4 route replace 128.0.0.0/1 dev ipsec0"],
    ),
    (
        "unroute-client",
        {"PEER_CLIENT": "::/0", "MY_CLIENT": "2001:db8::/64"},
        ["ip -6 route del ::/1 dev ipsec0", "ip -6 route del 8000::/1 dev ipsec0"],
    ),
    ("unroute-client", {}, ["ip -4 route del 10.2.0.0/24 dev ipsec0"] * 2),
    ("route-host", {"CONN_TYPE": "transport", "INTERFACE": "eth0"}, []),
    ("unroute-host", {"CONN_TYPE": "transport", "INTERFACE": "eth0"}, []),
    (
        "route-client",
        {"CONN_TYPE": "passthrough", "INTERFACE": "eth0"},
        ["ip -4 route replace 10.2.0.0/24 via 192.0.2.254 dev eth0"],
    ),
    (
        "route-client",
        {"CONN_TYPE": "passthrough", "INTERFACE": "eth0", "NEXT_HOP": "192.0.2.2"},
        [
            "ip -4 route get 10.2.0.0 oif eth0",
            "ip -4 route replace 10.2.0.0/24 via 192.0.2.253 dev eth0",
        ],
    ),
    # The network of one of our own interfaces.
    ("route-client", {"CONN_TYPE": "passthrough", "INTERFACE": "eth0", "PEER_CLIENT": NEAR}, []),
    ("unroute-client", {"CONN_TYPE": "passthrough", "INTERFACE": "eth0", "PEER_CLIENT": NEAR}, []),
    ("route-client", {"CONN_TYPE": "drop"}, ["ip -4 route replace 10.2.0.0/24 dev ipsec0"]),
    ("prepare-client", {}, []),
    ("up-client", {}, []),
    ("down-host", {}, []),
]


@pytest.mark.parametrize(("verb", "changes", "called"), ROUTES)
def test_each_verb_sets_the_routes_it_should(box: Box, verb: str, changes: dict[str, str], called: list[str]) -> None:
    assert box.does(verb, **changes) == called


def test_a_route_that_has_gone_is_no_failure_but_one_that_cannot_be_set_is(box: Box) -> None:
    assert box.run("unroute-client", BROKEN="del").returncode == 0
    done = box.run("route-client", BROKEN="replace")
    assert done.returncode == 1
    assert "Invalid argument" in done.stderr
    assert done.stderr.endswith("updown: cannot set the route to 10.2.0.0/24 dev ipsec0\n")


BAD = [
    ("turn-client", (), {}, "unknown verb turn-client"),
    ("up-client", ("ipfwadm",), {}, "unknown word ipfwadm"),
    ("route-client", (), {"INTERFACE": ""}, "PLUTO_INTERFACE is not set"),
    ("", (), {}, "PLUTO_VERB is not set"),
]


@pytest.mark.parametrize(("verb", "words", "changes", "sentence"), BAD)
def test_what_it_does_not_understand_it_says(
    box: Box, verb: str, words: tuple[str, ...], changes: dict[str, str], sentence: str
) -> None:
    done = box.run(verb, *words, **changes)
    assert done.returncode == 1
    assert done.stderr.startswith(f"updown: {sentence}")
    assert box.notes.read_text() == ""


def test_it_is_executable_where_the_source_has_it() -> None:
    assert SCRIPT.stat().st_mode & 0o111
