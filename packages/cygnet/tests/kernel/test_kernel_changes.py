"""What this machine's kernel tells of links, addresses and routes, and what it takes away by itself."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from cygnet.connection.selector import Selector
from cygnet.kernel import links, paths
from cygnet.kernel.changes import Changes
from cygnet.kernel.interface import Acquire
from cygnet.kernel.policy import Direction, Policy, Template
from cygnet.kernel.xfrm import Xfrm, statistics
from test_kernel_host import HERE, PEER, ip, kernel, namespace, send

__all__ = ["kernel", "namespace"]
TABLE = ("table", "51")


@pytest.fixture
def changes(namespace: None) -> Iterator[Changes]:
    with contextlib.closing(Changes()) as made:
        yield made


def heard(changes: Changes, patience: float = 0) -> bool:
    """Whether something came that matters; an IPv6 address is told of a little later."""
    return bool(select.select([changes], [], [], patience)[0]) and changes.heard()


def wait_for_quiet(changes: Changes) -> None:
    """A link that has just been made says more about itself for a while."""
    while select.select([changes], [], [], 1.5)[0]:
        changes.heard()


SILENT = (
    "route add 10.9.0.0/16 via 192.0.2.254",
    "-6 route add 2001:db8:9::/48 via 2001:db8::fe",
    "route add default via 192.0.2.254 table 51",
    "rule add priority 77 lookup 51",
    "neighbour add 192.0.2.7 lladdr 02:00:00:00:00:07 dev va",
)
LOUD = (
    "route replace default via 192.0.2.253",
    "route del default",
    "-6 route del default",
    "address add 192.0.2.9/24 dev va",
    "address del 192.0.2.1/24 dev va",
    "address add 2001:db8::9/64 dev va nodad",
    "link set va down",
    "link add ppp0 type veth",
    "link del va",
)


def test_only_what_may_matter_is_heard_of(changes: Changes) -> None:
    wait_for_quiet(changes)
    for command in SILENT:
        ip(*command.split())
        assert not heard(changes), command
    for command in LOUD:
        ip(*command.split())
        assert heard(changes, patience=10), command


def test_more_than_can_be_heard_matters(changes: Changes) -> None:
    wait_for_quiet(changes)
    with socket.socket(fileno=os.dup(changes.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        for number in range(60):
            ip("route", "add", f"10.9.{number}.0/24", "via", "192.0.2.254")
        assert heard(changes)


@pytest.mark.usefixtures("namespace")
def test_a_path_that_went_with_its_link_is_laid_again() -> None:
    """A PPP link that is made anew: another index, nothing left of what led over it."""
    paths.add(PEER, "va", None)
    ip("link", "del", "va")
    assert "192.0.2.2" not in ip("route", "show", "table", "all")
    assert "va" not in links.read_local().addresses
    ip("link", "add", "va", "type", "veth", "peer", "name", "vb")
    ip("address", "add", "198.51.100.7/32", "dev", "va")
    ip("link", "set", "va", "up")
    ip("link", "set", "vb", "up")
    ip("route", "add", "default", "dev", "va")
    local = links.read_local()
    assert (local.default_interface, local.default_gateway, local.default_address) == (
        "va",
        None,
        ip_address("198.51.100.7"),
    )
    paths.add(PEER, "va", None)
    assert "192.0.2.2 dev va" in ip("route", "show", *TABLE)


@pytest.mark.usefixtures("namespace")
def test_a_link_that_is_down_keeps_its_address_and_loses_its_routes() -> None:
    paths.add(PEER, "va", None)
    ip("link", "set", "va", "down")
    local = links.read_local()
    assert (HERE in local.addresses["va"], local.default_interface) == (True, "")
    assert "192.0.2.2" not in ip("route", "show", "table", "all")


@pytest.mark.usefixtures("namespace")
def test_an_ipv6_address_that_somebody_else_may_have_is_not_ours_yet() -> None:
    ip("address", "add", "2001:db8::7/64", "dev", "va")
    assert "tentative" in ip("address", "show", "dev", "va")
    assert ip_address("2001:db8::7") not in links.read_local().addresses["va"]


def test_a_trap_whose_own_address_is_not_known_yet_holds_packets_back(kernel: Xfrm) -> None:
    """The kernel would take the address of the link; there is no SA, and it asks."""
    ours, theirs = (Selector(ip_network(network)) for network in ("192.0.2.1/32", "10.2.0.0/24"))
    unknown = Template("esp", "tunnel", 0x4000, ip_address("0.0.0.0"), PEER)
    kernel.put_policy(Policy(Direction.OUT, ours, theirs, 0x0C590000, templates=(unknown,)))
    send("10.2.0.8")
    assert [event.reqid for event in kernel.events() if isinstance(event, Acquire)] == [0x4000]
    assert statistics()["XfrmOutNoStates"] == 1
    # Its address comes: the policy is replaced in place.
    kernel.put_policy(Policy(Direction.OUT, ours, theirs, 0x0C590000, templates=(replace(unknown, source=HERE),)))
    assert ip("xfrm", "policy").count("tmpl src 192.0.2.1 dst 192.0.2.2") == 1
    assert "0.0.0.0" not in ip("xfrm", "policy")
