"""The fake kernel refuses what Linux refuses, and judges packets as Linux does."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from cygnet.connection.selector import Selector
from cygnet.kernel.fake import FakeKernel
from cygnet.kernel.interface import Acquire, Expire, KernelError
from cygnet.kernel.policy import Action, Direction, Policy, Template
from cygnet.kernel.sa import Algorithm, Encapsulation, Sa, SaKey

WEST, EAST, WEST6 = ip_address("192.0.2.1"), ip_address("192.0.2.2"), ip_address("2001:db8::1")
PRIORITY = 0x0C590000
AES, SHA = Algorithm("cbc(aes)", bytes(16)), Algorithm("hmac(sha256)", bytes(32), 128)
SA = Sa(WEST, SaKey(EAST, "esp", 0x1000), 0x4000, "tunnel", True, encryption=AES, integrity=SHA, if_id=1)
FLOW = ("10.1.0.5/32", "10.2.0.7/32")


def side(network: str, protocol: int = 0, port: int = 0) -> Selector:
    return Selector(ip_network(network), protocol, port)


TEMPLATE = Template("esp", "tunnel", 0x4000, WEST, EAST)
POLICY = Policy(Direction.OUT, side("10.1.0.0/24"), side("10.2.0.0/24"), PRIORITY, templates=(TEMPLATE,), if_id=1)

BAD_SAS = [
    ("unknown protocol", {"key": SaKey(EAST, "gre", 0x1000)}),
    ("SPI out of range", {"key": SaKey(EAST, "esp", 255)}),
    ("SPI out of range", {"key": SaKey(EAST, "comp", 0x10000)}),
    ("unknown mode", {"mode": "beet"}),
    ("two families", {"source": WEST6}),
    ("no reqid", {"reqid": 0}),
    ("replay window", {"replay_window": 5000}),
    ("ESN needs", {"esn": True, "replay_window": 0}),
    ("no sequence numbers", {"key": SaKey(EAST, "comp", 0x1000), "replay_window": 32}),
    ("lifetime below", {"hard_seconds": -1}),
    ("soft lifetime after", {"soft_seconds": 20, "hard_seconds": 10}),
    ("wrong kinds of algorithms", {"encryption": None}),
    ("wrong kinds of algorithms", {"aead": Algorithm("rfc4106(gcm(aes))", bytes(20), 128)}),
    ("wrong kinds of algorithms", {"key": SaKey(EAST, "ah", 0x1000)}),
    ("no such algorithm", {"encryption": Algorithm("cbc(aes256)", bytes(16))}),
    ("a key of 17 bytes", {"encryption": Algorithm("cbc(aes)", bytes(17))}),
    ("a key of 20 bytes", {"integrity": Algorithm("hmac(sha256)", bytes(20), 128)}),
    ("a check value of 64 bits", {"integrity": Algorithm("hmac(sha256)", bytes(32), 64)}),
    ("only ESP goes in UDP", {"key": SaKey(EAST, "ah", 0x1000), "encapsulation": Encapsulation(4500, 4500)}),
    ("of transport mode", {"selectors": (side("10.1.0.0/24"), side("10.2.0.0/24"))}),
    ("another family", {"mode": "transport", "selectors": (side("2001:db8::/64"), side("2001:db8:1::/64"))}),
]
BAD_POLICIES = [
    ("two families", {"source": side("2001:db8::/64")}),
    ("two protocols", {"source": side("10.1.0.0/24", 17)}),
    ("port without protocol", {"source": side("10.1.0.0/24", 0, 500)}),
    ("not ours", {"priority": 1000}),
    ("too many", {"templates": (TEMPLATE,) * 7}),
    ("reqid of ours", {"templates": (replace(TEMPLATE, reqid=0),)}),
    ("optional tunnel", {"templates": (replace(TEMPLATE, optional=True),)}),
    ("without addresses", {"templates": (replace(TEMPLATE, source=None),)}),
    ("two families", {"templates": (replace(TEMPLATE, source=WEST6),)}),
]


@pytest.mark.parametrize(("why", "change"), BAD_SAS)
def test_bad_sas_are_refused(why: str, change: dict[str, object]) -> None:
    kernel = FakeKernel()
    with pytest.raises(KernelError, match=why):
        kernel.add_sa(replace(SA, **change))  # type: ignore[arg-type]
    assert kernel.sas == {}


@pytest.mark.parametrize(("why", "change"), BAD_POLICIES)
def test_bad_policies_are_refused(why: str, change: dict[str, object]) -> None:
    with pytest.raises(KernelError, match=why):
        FakeKernel().put_policy(replace(POLICY, **change))  # type: ignore[arg-type]


def test_an_spi_is_given_once_and_only_a_present_sa_can_change() -> None:
    kernel = FakeKernel()
    kernel.add_sa(SA)
    with pytest.raises(KernelError, match="already"):
        kernel.add_sa(SA)
    kernel.delete_sa(SA.key)
    kernel.delete_sa(SA.key)
    for change in (lambda: kernel.update_sa(SA), lambda: kernel.move_sa(SA.key, SA)):
        with pytest.raises(KernelError, match="no SA"):
            change()


def test_what_becomes_of_a_packet() -> None:
    kernel = FakeKernel()
    seen = [kernel.traffic(*FLOW)]
    kernel.put_policy(POLICY)
    seen.append(kernel.traffic(*FLOW))
    kernel.add_sa(SA)
    seen.append(kernel.traffic(*FLOW))
    kernel.put_policy(replace(POLICY, action=Action.BLOCK, templates=()))
    seen.append(kernel.traffic(*FLOW))
    kernel.put_policy(replace(POLICY, templates=()))
    seen.append(kernel.traffic(*FLOW))
    assert seen == ["clear", "acquire", SA.key, "reject", "drop"]


def test_one_acquire_for_a_packet_until_the_kernel_stops_waiting() -> None:
    kernel = FakeKernel()
    kernel.put_policy(POLICY)
    kernel.traffic(*FLOW)
    kernel.traffic(*FLOW)
    acquire = Acquire(0x4000, side("10.1.0.5/32"), side("10.2.0.7/32"))
    assert kernel.events() == [acquire]
    kernel.larval_timeout()
    kernel.traffic(*FLOW)
    assert kernel.events() == [acquire]


def test_the_newest_sa_of_a_reqid_is_used_and_the_next_after_it_expires() -> None:
    kernel = FakeKernel()
    newer = replace(SA, key=SaKey(EAST, "esp", 0x2000))
    kernel.put_policy(POLICY)
    kernel.add_sa(SA)
    kernel.add_sa(newer)
    assert kernel.traffic(*FLOW) == newer.key
    kernel.hard_expire(newer.key)
    assert kernel.traffic(*FLOW) == SA.key
    assert kernel.events() == [Expire(newer.key, 0x4000, hard=True)]


def test_delivery_needs_the_same_keys_and_a_policy_that_wants_it_so() -> None:
    west, east = FakeKernel(), FakeKernel()
    west.put_policy(POLICY)
    west.add_sa(SA)
    mine = replace(SA, outbound=False)
    inbound = replace(POLICY, direction=Direction.IN)
    seen = [west.deliver(east, *FLOW)]
    east.add_sa(replace(mine, encryption=Algorithm("cbc(aes)", b"x" * 16)))
    seen.append(west.deliver(east, *FLOW))
    east.delete_sa(SA.key)
    east.add_sa(mine)
    seen.append(west.deliver(east, *FLOW))
    east.put_policy(inbound)
    seen.append(west.deliver(east, *FLOW))
    east.put_policy(replace(inbound, templates=(replace(TEMPLATE, reqid=0x4001),)))
    seen.append(west.deliver(east, *FLOW))
    assert seen == [
        "no SA esp 0x1000",
        "keys of esp 0x1000 differ",
        "refused by policy",
        "delivered",
        "refused by policy",
    ]
    counters = east.query_sa(SA.key)
    assert counters is not None
    assert (counters.packets, counters.bytes) == (1, 84)


def test_flush_leaves_what_others_installed() -> None:
    kernel = FakeKernel()
    kernel.add_sa(SA)
    kernel.add_sa(replace(SA, reqid=1, key=SaKey(EAST, "esp", 0x9000)))
    kernel.put_policy(POLICY)
    kernel.flush()
    assert (len(kernel.sas), kernel.policies) == (1, {})


def test_it_fails_as_told_once() -> None:
    kernel = FakeKernel()
    kernel.fail("add_sa")
    kernel.put_policy(POLICY)
    with pytest.raises(KernelError, match="told to fail"):
        kernel.add_sa(SA)
    kernel.add_sa(SA)
