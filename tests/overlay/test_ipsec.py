"""IPsec on the box: when it runs, and the key that a new box makes for itself."""

from __future__ import annotations

import subprocess

import pytest
from scratch import OVERLAY, Box

RUN, FINISH = "etc/sv/ipsec/run", "etc/sv/ipsec/finish"
CONFIGURATIONS = [
    pytest.param("version 2\nconfig setup\n\tinterfaces=%defaultroute\n", False, id="setup alone"),
    pytest.param("version 2\nconn %default\n\tauthby=secret\n", False, id="only what conns have in common"),
    pytest.param("#conn office\n # conn office\n", False, id="a conn in a comment"),
    pytest.param("version 2\nconn office\n\tauto=start\n", True, id="a conn"),
    pytest.param("conn\toffice", True, id="a tab, and no end of line"),
    pytest.param("version 2\ninclude /etc/ipsec.d/*.conf\n", True, id="files that may hold one"),
    pytest.param("", False, id="empty"),
]


@pytest.fixture
def kernel(box: Box) -> Box:
    box.write("proc/sys/kernel/random/entropy_avail", "256\n")
    box.fake("flock")
    box.fake("nice", 'shift 2; exec "$@"')
    return box


def service(box: Box, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return box.run([str(box.root / script), *arguments])


def make_key(box: Box) -> str:
    box.script("ipsec-hostkey")
    return box.read("etc/ipsec.secrets")


@pytest.mark.parametrize(("text", "wanted"), CONFIGURATIONS)
def test_ipsec_starts_at_boot_only_where_a_connection_is_described(box: Box, text: str, wanted: bool) -> None:
    box.write("etc/ipsec.conf", text)
    assert (box.shell("base ipsec", "wants_ipsec").returncode == 0) is wanted


def test_a_box_without_the_file_and_a_stock_box_run_no_ipsec(box: Box) -> None:
    assert (OVERLAY / "etc/ipsec.conf").exists()
    assert box.shell("base ipsec", "wants_ipsec").returncode == 1
    (box.root / "etc/ipsec.conf").unlink()
    assert box.shell("base ipsec", "wants_ipsec").returncode == 1


def test_a_policy_group_is_enough(box: Box) -> None:
    box.write("etc/ipsec.d/policies/private-or-clear", "")
    assert box.shell("base ipsec", "wants_ipsec").returncode == 1
    box.write("etc/ipsec.d/policies/private-or-clear", "0.0.0.0/0\n")
    assert box.shell("base ipsec", "wants_ipsec").returncode == 0


def test_the_service_is_among_those_that_a_boot_starts(box: Box) -> None:
    box.write("etc/ipsec.conf", "version 2\nconn office\n\tauto=start\n")
    for program in ("sysctl", "ip"):
        box.fake(program)
    box.script("start")
    assert (box.root / "run/service/ipsec").readlink().as_posix() == "/etc/sv/ipsec"


@pytest.mark.parametrize(("status", "waits"), [("0", []), ("1", ["sleep 10"]), ("-1", ["sleep 10"])])
def test_a_daemon_that_fails_is_not_started_again_at_once(kernel: Box, status: str, waits: list[str]) -> None:
    (kernel.fakes / "sleep").unlink()
    kernel.fake("sleep")
    kernel.fake("sysctl")
    service(kernel, FINISH, status, "9")
    assert kernel.calls("sleep") == waits


def test_the_daemon_waits_for_random_numbers(kernel: Box) -> None:
    kernel.write("proc/sys/kernel/random/entropy_avail", "12\n")
    kernel.write("dev/random", "x")
    (kernel.fakes / "sleep").unlink()
    kernel.fake("sleep", 'echo 256 >"$CYGNET_ROOT/proc/sys/kernel/random/entropy_avail"')
    kernel.fake("ipsec")
    service(kernel, RUN)
    assert [line.split()[0] for line in kernel.calls()] == ["sleep", "ipsec"]


def test_a_new_box_makes_its_own_key(kernel: Box) -> None:
    # Given a box without secrets, whose daemon runs
    kernel.fake("ipsec", 'case $1 in newhostkey) echo ": RSA {}" >"$4" ;; esac')
    kernel.write("run/pluto/pluto.ctl", "")
    # when it boots, then it makes a key after everything else, at its leisure, and the daemon is told;
    assert make_key(kernel) == ": RSA {}\n"
    assert [call.split()[0] for call in kernel.calls()] == ["flock", "nice", "ipsec", "ipsec"]
    assert kernel.calls("ipsec")[-1] == "ipsec auto --rereadsecrets"
    # nothing of it is said but that it is there.
    assert "ipsec showhostkey" in kernel.read("dev/kmsg")
    assert ": RSA" not in kernel.said + kernel.read("dev/kmsg")


def test_every_boot_looks_for_the_key(kernel: Box) -> None:
    for program in ("sysctl", "ip"):
        kernel.fake(program)
    kernel.fake("ipsec", 'echo ": RSA {}" >"$4"')
    for _ in ("first boot", "second boot"):
        kernel.script("start")
    assert len(kernel.calls("ipsec newhostkey")) == 1


def test_secrets_that_are_there_are_left_alone(kernel: Box) -> None:
    kernel.fake("ipsec")
    kernel.write("etc/ipsec.secrets", "")
    assert make_key(kernel) == ""
    assert kernel.calls("ipsec") == []


def test_secrets_that_come_meanwhile_win(kernel: Box) -> None:
    kernel.fake("ipsec", 'echo mine >"$CYGNET_ROOT/etc/ipsec.secrets"; echo ": RSA {}" >"$4"')
    assert make_key(kernel) == "mine\n"
    assert not (kernel.root / "etc/ipsec.secrets.new").exists()


@pytest.mark.parametrize("failure", ["exit 1", ':>"$4"; exit 0', 'echo half >"$4"; exit 1'])
def test_a_key_that_could_not_be_made_leaves_nothing(kernel: Box, failure: str) -> None:
    kernel.fake("ipsec", failure)
    kernel.script("ipsec-hostkey")
    assert not list((kernel.root / "etc").glob("ipsec.secrets*"))
    assert "no RSA key for IPsec could be made" in kernel.read("dev/kmsg")


def test_two_keys_are_not_made_at_once(kernel: Box) -> None:
    kernel.fake("flock", "exit 1")
    kernel.fake("ipsec")
    make_key(kernel)
    assert kernel.calls("ipsec") == []


STATUS = """\
000 interface ipsec0/eth0 192.0.2.1
000 "office": 10.1.0.0/24===192.0.2.1...192.0.2.2===10.2.0.0/24; erouted; eroute owner: #2
000 "office":   ike_life: 3600s; ipsec_life: 28800s; rekey_margin: 540s; rekey_fuzz: 100%; keyingtries: %forever
000 "shop-7": 10.1.0.0/24===192.0.2.1...192.0.2.7===10.7.0.0/24; prospective erouted; eroute owner: #0
000 "shop-7":   policy: RSASIG+TUNNEL+PFS; interface: eth0
000 "shop-7":   not up: no answer from 192.0.2.7; is UDP port 500 open on the way?
000 "spare": 192.0.2.1...192.0.2.8; unrouted; eroute owner: #0
000
000 #2: "office" STATE_QUICK_I2 (IPsec SA established); newest IPSEC; eroute owner; esp.1@192.0.2.2 tunnel
"""


def tunnels(box: Box) -> list[str]:
    for program in ("date", "ip"):
        (box.fakes / program).unlink(missing_ok=True)
        box.fake(program)
    box.write("proc/meminfo", "MemTotal: 1 kB\n")
    box.write("proc/mounts", "")
    said = box.run([str(box.root / "usr/sbin/cygnet-status")]).stdout.splitlines()
    return [line for line in said if line.startswith("tunnel.")]


def test_box_status_has_a_line_for_each_tunnel(box: Box) -> None:
    box.fake("ipsec", f"cat <<'EOF'\n{STATUS}EOF")
    box.write("run/pluto/pluto.ctl", "")
    assert tunnels(box) == [
        "tunnel.office: up",
        "tunnel.shop-7: down, no answer from 192.0.2.7; is UDP port 500 open on the way?",
        "tunnel.spare: down",
    ]


def test_box_status_asks_no_daemon_that_does_not_run(box: Box) -> None:
    box.fake("ipsec")
    assert tunnels(box) == []
    assert box.calls("ipsec") == []
