"""With this machine's kernel, in a network namespace of the test's own.

It has XFRM policies but perhaps no ESP, so what it must do with a packet is shown by policies alone.
"""

import contextlib
import ctypes
import os
import select
import socket
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cygnet.cli import main, service
from cygnet.connection.selector import Selector
from cygnet.kernel import links, ours, paths, sockets
from cygnet.kernel.interface import Acquire, KernelError
from cygnet.kernel.policy import Action, Direction, Policy, Template
from cygnet.kernel.sa import Algorithm, Sa, SaKey
from cygnet.kernel.xfrm import Xfrm, statistics

NEW_NAMESPACE = 0x40000000
HERE, PEER, GATEWAY = (ip_address(f"192.0.2.{n}") for n in (1, 2, 254))
OURS = 0x0C590000


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def namespace() -> Iterator[None]:
    """One interface `va` with a default route, IPv4 and IPv6; gone with the test."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    assert libc.unshare(NEW_NAMESPACE) == 0, os.strerror(ctypes.get_errno())
    try:
        ip("link", "set", "lo", "up")
        ip("link", "add", "va", "type", "veth", "peer", "name", "vb")
        ip("link", "set", "vb", "up")
        ip("address", "add", "192.0.2.1/24", "dev", "va")
        ip("address", "add", "2001:db8::1/64", "dev", "va", "nodad")
        ip("link", "set", "va", "up")
        ip("route", "add", "default", "via", "192.0.2.254")
        ip("-6", "route", "add", "default", "via", "2001:db8::fe")
        yield
    finally:
        libc.setns(home, 0)
        os.close(home)


@pytest.fixture
def kernel(namespace: None) -> Iterator[Xfrm]:
    made = Xfrm(lambda _: None)
    yield made
    made.close()


def side(network: str) -> Selector:
    return Selector(ip_network(network))


def protect(source: str, destination: str, reqid: int = 0x4000) -> Policy:
    template = Template("esp", "tunnel", reqid, HERE, PEER)
    return Policy(Direction.OUT, side(source), side(destination), OURS, templates=(template,))


def send(destination: str, prepare: bool = False) -> bool:
    """Whether the kernel lets a datagram go."""
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        if prepare:
            sockets.bypass(sender)
        try:
            sender.sendto(b"x", (destination, 53))
        except PermissionError:
            return False
        return True


def test_policies_come_are_replaced_and_go(kernel: Xfrm) -> None:
    policy = protect("192.0.2.1/32", "10.2.0.0/24")
    kernel.put_policy(policy)
    kernel.put_policy(policy)
    assert ip("xfrm", "policy").count("reqid 16384") == 1
    kernel.delete_policy(policy)
    kernel.delete_policy(policy)
    assert ip("xfrm", "policy") == ""


def test_a_packet_without_an_sa_asks_for_one_in_either_family(kernel: Xfrm) -> None:
    kernel.put_policy(protect("192.0.2.1/32", "10.2.0.0/24"))
    kernel.put_policy(protect("2001:db8::/64", "2001:db8:2::/64", 0x4001))
    send("10.2.0.8")
    send("2001:db8:2::8")
    assert select.select([kernel], [], [], 5)[0]
    events = kernel.events()
    assert [event.reqid for event in events if isinstance(event, Acquire)] == [0x4000, 0x4001]
    assert [event.destination.network for event in events if isinstance(event, Acquire)] == [
        ip_network("10.2.0.8/32"),
        ip_network("2001:db8:2::8/128"),
    ]
    assert kernel.events() == []
    assert statistics()["XfrmOutNoStates"] == 2


def test_the_smaller_priority_wins(kernel: Xfrm) -> None:
    kernel.put_policy(Policy(Direction.OUT, side("0.0.0.0/0"), side("10.0.0.0/8"), OURS + 2, Action.BLOCK))
    kernel.put_policy(Policy(Direction.OUT, side("0.0.0.0/0"), side("10.2.0.0/16"), OURS + 1))
    assert (send("10.2.0.8"), send("10.3.0.8")) == (True, False)


def test_ike_passes_what_stops_everyone_else(kernel: Xfrm) -> None:
    kernel.put_policy(Policy(Direction.OUT, side("0.0.0.0/0"), side("10.0.0.0/8"), OURS, Action.BLOCK))
    kernel.put_policy(Policy(Direction.OUT, side("::/0"), side("2001:db8:2::/64"), OURS, Action.BLOCK))
    for destination in ("10.2.0.8", "2001:db8:2::8"):
        assert (send(destination), send(destination, prepare=True)) == (False, True)


def test_flush_removes_ours_and_nothing_else(kernel: Xfrm) -> None:
    ip("xfrm", "policy", "add", "src", "10.8.0.0/16", "dst", "10.9.0.0/16", "dir", "out", "action", "block")
    kernel.put_policy(protect("192.0.2.1/32", "10.2.0.0/24"))
    kernel.put_policy(
        Policy(Direction.IN, side("10.2.0.0/24"), side("10.1.0.0/24"), OURS, Action.BLOCK, if_id=3, mark=5)
    )
    kernel.add_path(PEER, "va", None)
    kernel.flush()
    assert ip("xfrm", "policy").count("src") == 1
    assert "10.8.0.0/16" in ip("xfrm", "policy")
    assert "fwmark" not in ip("rule")


def test_neither_owner_takes_or_removes_what_is_the_others(kernel: Xfrm) -> None:
    """Given a tunnel of the daemon and a shunt by hand, then each stays through all that the other does."""
    by_hand = Xfrm(lambda _: None, ours.MANUAL)
    shunt = Policy(Direction.OUT, side("192.0.2.1/32"), side("10.3.0.0/24"), OURS + 1, Action.BLOCK)
    kernel.put_policy(protect("192.0.2.1/32", "10.2.0.0/24"))
    by_hand.put_policy(shunt)
    before = ip("xfrm", "policy")
    with pytest.raises(KernelError, match=r"10\.2\.0\.0/24: the daemon has one there \(ipsec auto --delete"):
        by_hand.put_policy(protect("192.0.2.1/32", "10.2.0.0/24"))
    with pytest.raises(KernelError, match=r"10\.3\.0\.0/24: manual keying has one there \(ipsec manual --unroute"):
        kernel.put_policy(protect("192.0.2.1/32", "10.3.0.0/24"))
    kernel.delete_policy(shunt)
    by_hand.delete_policy(protect("192.0.2.1/32", "10.2.0.0/24"))
    assert ip("xfrm", "policy") == before
    assert [owner.has(policy) for policy in kernel.list_policies() for owner in ours.OWNERS].count(True) == 2
    kernel.flush()
    assert kernel.list_policies() == [shunt]
    by_hand.flush()
    assert ip("xfrm", "policy") == ""
    by_hand.close()


@pytest.mark.parametrize("peer", ["203.0.113.9", "2001:db8:9::9"])
def test_each_owner_has_a_path_of_its_own_to_one_peer(kernel: Xfrm, peer: str) -> None:
    """The rule for both is there until the last path has gone."""
    by_hand, remote, family = Xfrm(lambda _: None, ours.MANUAL), ip_address(peer), "-6" if ":" in peer else "-4"
    for one in (kernel, by_hand, kernel, by_hand):
        one.add_path(remote, "va", None)
    assert ip(family, "route", "show", "table", "51").count(peer) == 2
    kernel.delete_path(remote)
    kernel.delete_path(remote)
    kernel.flush()
    assert ip(family, "route", "show", "table", "51").count(peer) == 1
    assert "fwmark" in ip(family, "rule")
    by_hand.delete_path(remote)
    kernel.add_path(remote, "va", None)
    by_hand.flush()
    assert ip(family, "route", "show", "table", "51").count(peer) == 1
    kernel.flush()
    assert "fwmark" not in ip(family, "rule")
    by_hand.close()


@pytest.mark.usefixtures("namespace")
def test_shunts_by_hand_do_what_the_view_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(service, "BY_HAND", tmp_path / "by-hand")
    for network, word in (("10.0.0.0/8", "%drop"), ("10.2.0.0/16", "%pass")):
        assert main(["eroute", "--add", "--src", "0.0.0.0/0", "--dst", network, "--said", word]) == 0
    assert (send("10.2.0.8"), send("10.3.0.8")) == (True, False)
    assert main(["eroute"]) == 0
    assert [line.split()[2:5] for line in capsys.readouterr().out.splitlines()] == [
        ["10.0.0.0/8:0", "=>", "%drop"],
        ["10.2.0.0/16:0", "=>", "%pass"],
    ]
    assert main(["klipsdebug"]) == 0
    assert "XfrmOutPolBlock=1" in capsys.readouterr().out
    assert main(["eroute", "--clear"]) == 0
    assert (send("10.3.0.8"), ip("xfrm", "policy")) == (True, "")


def test_a_refused_sa_is_a_sentence_that_names_it_and_no_key(kernel: Xfrm) -> None:
    sa = Sa(
        HERE,
        SaKey(PEER, "esp", 0x1000),
        0x4000,
        "tunnel",
        outbound=True,
        encryption=Algorithm("cbc(nothing)", b"k" * 16),
        integrity=Algorithm("hmac(sha256)", b"k" * 32, 128),
    )
    with pytest.raises(
        KernelError, match=r"cannot install SA esp\.1000@192\.0\.2\.2 \(cbc\(nothing\).*lacks"
    ) as caught:
        kernel.add_sa(sa)
    assert "kkk" not in str(caught.value)
    with pytest.raises(KernelError, match="it is not there"):
        kernel.move_sa(sa.key, sa)
    kernel.delete_sa(sa.key)
    assert kernel.query_sa(sa.key) is None


@pytest.mark.usefixtures("namespace")
def test_more_events_than_can_be_heard_are_noted_and_survived() -> None:
    notes: list[str] = []
    kernel = Xfrm(notes.append)
    # The smallest buffer that the kernel gives holds few events.
    with contextlib.closing(kernel), socket.socket(fileno=os.dup(kernel.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        for number in range(40):
            kernel.put_policy(protect("192.0.2.1/32", f"10.2.{number}.0/24", 0x4000 + number))
            send(f"10.2.{number}.8")
        assert kernel.events()
    assert notes == [
        "the kernel had more events than could be heard; SAs that expired meanwhile are found by the clock"
    ]


@pytest.mark.usefixtures("namespace")
def test_what_this_box_has() -> None:
    local = links.read_local()
    assert set(local.addresses["va"]) >= {HERE, ip_address("2001:db8::1")}
    assert "lo" not in local.addresses
    assert (local.default_interface, local.default_gateway, local.default_address) == ("va", GATEWAY, HERE)


@pytest.mark.usefixtures("namespace")
def test_the_default_route_of_least_metric_counts_and_none_into_a_tunnel() -> None:
    ip("link", "add", "ipsec0", "type", "veth", "peer", "name", "other")
    ip("link", "set", "ipsec0", "up")
    ip("link", "set", "other", "up")
    ip("route", "del", "default")
    ip("route", "add", "default", "via", "192.0.2.254", "metric", "50")
    ip("route", "add", "default", "via", "192.0.2.253", "metric", "20", "src", "192.0.2.1")
    ip("route", "add", "default", "dev", "ipsec0", "metric", "10")
    assert links.read_local().default_gateway == ip_address("192.0.2.253")


@pytest.mark.usefixtures("namespace")
def test_without_a_default_route_nothing_is_made_up() -> None:
    ip("route", "del", "default")
    ip("-6", "route", "del", "default")
    local = links.read_local()
    assert (local.default_interface, local.default_gateway, local.default_address) == ("", None, None)


@pytest.mark.usefixtures("namespace")
def test_ike_and_esp_find_the_peer_beside_a_route_to_it_into_a_tunnel() -> None:
    """The other end of the veth plays ipsecN here."""
    far = ip_address("203.0.113.9")
    ip("route", "add", "203.0.113.9/32", "dev", "vb")
    paths.add(far, "va", None)
    paths.add(far, "va", None)
    paths.add(PEER, "va", None)
    assert "dev vb" in ip("route", "get", "203.0.113.9")
    marked = ip("route", "get", "203.0.113.9", "mark", "0x40000000")
    assert "via 192.0.2.254 dev va table 51" in marked
    assert "via" not in ip("route", "get", "192.0.2.2", "mark", "0x40000000")
    # When somebody on the way says that ESP was too large, the kernel looks for its route without the mark.
    rules = [line.split()[1:] for line in ip("rule").splitlines() if line.startswith("51:")]
    assert sorted(rules)[-2:] == [
        ["from", "all", "iif", "lo", "ipproto", name, "lookup", "51"] for name in ("ah", "esp")
    ]
    paths.delete(far)
    paths.delete(far)
    assert "dev vb" in ip("route", "get", "203.0.113.9", "mark", "0x40000000")


@pytest.mark.usefixtures("namespace")
def test_a_path_by_ipv6_and_by_a_named_gateway() -> None:
    paths.add(ip_address("2001:db8:9::9"), "va", None)
    paths.add(ip_address("203.0.113.9"), "va", ip_address("192.0.2.250"))
    assert "via 2001:db8::fe dev va" in ip("-6", "route", "show", "table", "51")
    assert "203.0.113.9 via 192.0.2.250 dev va" in ip("route", "show", "table", "51")
    paths.delete(ip_address("203.0.113.9"))
    assert "fwmark" in ip("-6", "rule")
    paths.flush()
    assert ip("-6", "route", "show", "table", "all").count("table 51") == 0
    assert "51" not in ip("rule") + ip("-6", "rule")
    # One family is left when the other has none.
    paths.add(ip_address("2001:db8:9::9"), "va", None)
    paths.flush()
    assert "51" not in ip("-6", "rule")


@pytest.mark.parametrize(
    ("refused", "sentence"),
    [
        (lambda: links.create_interface("va", 1), "va is there already and is no XFRM interface"),
        (lambda: paths.add(PEER, "eth7", None), "there is no interface eth7"),
        (lambda: paths.add(PEER, "va", ip_address("198.51.100.1")), "cannot keep a path to 192.0.2.2 over va: "),
    ],
)
@pytest.mark.usefixtures("namespace")
def test_what_cannot_be_done_is_a_sentence(refused, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(KernelError, match=sentence):
        refused()


@pytest.mark.usefixtures("namespace")
def test_udp_sockets_take_esp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        sockets.encapsulate(made)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made, pytest.raises(KernelError, match="ESP in UDP"):
        sockets.encapsulate(made)
