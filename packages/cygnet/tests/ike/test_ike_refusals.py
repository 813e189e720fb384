"""What goes wrong is said in words, at both ends where both can know, and leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cygnet.connection.connection import AuthBy, Shunt, Type
from cygnet.connection.identity import Identity, IdType
from cygnet.connection.proposal import IkeProposal
from cygnet.connection.secret import PresharedKey, Secrets
from cygnet.errors import CygnetError
from cygnet.ike.message import HEADER_SIZE, Header, join
from cygnet.ike.numbers import Exchange, PayloadType
from cygnet.ike.payloads import VendorId
from simulation import EAST, NAME, PSK, SECRET, WEST, Box, Network, connection, established, pair, works

OTHER = Secrets((PresharedKey((), b"another secret"),))
FQDN = Identity(IdType.FQDN, b"north.example.org")


def refused(seconds: float = 200, **changes: Any) -> tuple[Network, Box, Box]:
    """West tries once and fails."""
    network, west, east = pair(**{"keying_tries": 1, **changes})
    west.up()
    network.run(seconds)
    assert west.statuses == [31]
    assert (west.pairs(), east.pairs(), network.bugs()) == (0, 0, [])
    for box in (west, east):
        assert box.kernel.sas == {}
        assert box.sizes()["timers"] <= 8
    return network, west, east


def test_a_wrong_secret_says_so_at_both_ends() -> None:
    _, west, east = refused(secrets=(SECRET, OTHER))
    assert west.was_told("the pre-shared secrets probably differ")
    assert east.said("probable authentication failure (mismatch of preshared secrets?)")
    assert any("mismatch of preshared secrets" in line for line in east.engine.status())
    assert any("secrets probably differ" in line for line in west.engine.status())


def test_no_secret_at_all_says_which_line_is_missing_before_anything_is_sent() -> None:
    network, west, _ = pair(secrets=(Secrets(), SECRET))
    with pytest.raises(CygnetError, match=r"no secret for 192.0.2.1 and 192.0.2.2: .*ipsec.secrets needs a line"):
        west.up()
    assert network.wire == []


def test_no_secret_at_the_responder_says_which_line_is_missing() -> None:
    _, _, east = refused(secrets=(SECRET, Secrets()))
    assert east.said("no secret for 192.0.2.2 and 192.0.2.1")


def test_no_private_key_says_what_to_do() -> None:
    _, west, _ = pair(auth_by=AuthBy.RSASIG)
    with pytest.raises(CygnetError, match="no RSA private key for 192.0.2.1: .*ipsec newhostkey"):
        west.up()


def test_a_proposal_mismatch_shows_ours_beside_theirs_at_both_ends() -> None:
    proposals = {
        "west": {"ike": (IkeProposal("aes", 256, "sha1", 14),)},
        "east": {"ike": (IkeProposal("3des", 192, "md5", 2),)},
    }
    _, west, east = refused(**proposals)
    ours, theirs = "aes_256-sha1-group14 by preshared secret", "3des_192-md5-group2 by preshared secret"
    assert west.was_told(f"this end takes: {theirs}")
    assert west.was_told(f"Our proposals were: {ours}")
    assert east.said(f"no proposal in common. Ours: {theirs}. Theirs: {ours}")
    assert any(f"Ours: {theirs}. Theirs: {ours}" in line for line in east.engine.status())


def test_an_unknown_id_is_shown() -> None:
    _, _, east = refused(west={"here": replace(connection(WEST, EAST).here, id=FQDN)})
    assert east.said(
        "no connection is for a peer that says it is @north.example.org; from this address we know 192.0.2.1"
    )


def test_a_peer_with_another_id_than_wanted_is_shown_beside_it() -> None:
    _, west, _ = refused(west={"there": replace(connection(WEST, EAST).there, id=FQDN)})
    assert west.was_told(
        "the peer says that it is 192.0.2.2, and this connection is for @north.example.org: set rightid="
    )


def test_traffic_that_the_peer_has_no_connection_for_is_shown_at_both_ends() -> None:
    _, west, east = refused(west=nets_of("10.1.0.0/24", "10.77.0.0/24"))
    assert east.said(
        "no connection is for traffic between 10.77.0.0/24 here and 10.1.0.0/24 at 192.0.2.1; with this peer we have: 10.2.0.0/24 to 10.1.0.0/24"
    )
    assert west.was_told("it has no connection for traffic between 10.1.0.0/24 and 10.77.0.0/24")


def nets_of(mine: str, its: str) -> dict[str, Any]:
    made = connection(WEST, EAST, (mine, its))
    return {"here": made.here, "there": made.there}


def test_an_answer_for_other_traffic_is_refused() -> None:
    # East takes west's smaller subnet for its own idea only if it is exactly that.
    _, _, east = refused(west=nets_of("10.1.0.0/25", "10.2.0.0/24"))
    assert east.said("no connection is for traffic between")


def test_nobody_home_says_what_may_be_the_matter() -> None:
    network, west, _ = pair(keying_tries=1)
    del network.boxes[EAST]
    west.up()
    network.run(100)
    assert west.statuses == [31]
    assert west.was_told("is the peer running, does it know this box, do firewalls let UDP 500 pass?")


def test_a_peer_that_does_not_know_us_says_so() -> None:
    network, west, east = pair(keying_tries=1)
    east.engine.delete(NAME, network.now)
    west.up()
    network.run(5)
    assert west.statuses == [31]
    assert west.was_told("the peer refused: NO_PROPOSAL_CHOSEN")
    assert east.said("an initial Main Mode message, but no connection is for this address")


def test_retransmission_backs_off_and_gives_up() -> None:
    network, west, _ = pair(keying_tries=1)
    network.tamper = lambda _path, _packet: None
    west.up()
    network.run(200)
    assert [sent.when - 1000 for sent in network.wire] == [0, 2, 6, 14, 30]
    assert len({sent.packet for sent in network.wire}) == 1
    assert [text for code, text in west.heard if code == 10][0].endswith("retransmission; will wait 4s for response")
    assert west.statuses == [31]
    assert west.sizes()["ISAKMP SAs"] == 0


@pytest.mark.parametrize(("tries", "attempts"), [(1, 1), (2, 2), (4, 4)])
def test_keyingtries_is_how_often_it_is_tried(tries: int, attempts: int) -> None:
    network, west, _ = pair(keying_tries=tries)
    network.tamper = lambda _path, _packet: None
    west.up()
    network.run(3600)
    assert len({sent.packet for sent in network.wire}) == attempts
    assert not west.live.wanted
    assert west.live.retry is None


def test_keyingtries_forever_comes_up_when_the_peer_does() -> None:
    network, west, east = pair(keying_tries=0)
    network.boxes.pop(EAST)
    west.up()
    network.run(86400)
    attempts = len({sent.packet for sent in network.wire})
    assert 86400 / 400 < attempts < 86400 / 300
    network.boxes[EAST] = east
    network.run(400)
    assert works(west, east)


def test_whoever_waits_is_released_after_the_first_attempt() -> None:
    network, west, _ = pair(keying_tries=0)
    network.tamper = lambda _path, _packet: None
    west.up()
    network.run(80)
    assert west.statuses == [31]
    assert west.was_told("starting keying attempt 2 of an unlimited number in 5 s, but releasing whack")


def test_a_second_up_replaces_the_first_ones_waiting() -> None:
    network, west, _ = pair()
    west.up()
    west.up()
    network.run(5)
    assert sorted(west.statuses) == [0, 31]


@pytest.mark.parametrize("who", ["west", "east"])
@pytest.mark.parametrize("call", ["add_sa", "put_policy"])
def test_a_kernel_that_refuses_fails_the_negotiation_and_leaves_nothing(who: str, call: str) -> None:
    network, west, east = pair(keying_tries=1)
    box = west if who == "west" else east
    box.kernel.fail(call)
    west.up()
    network.run(10)
    assert box.said(f"the kernel refused {call}")
    assert west.statuses == [31]
    network.run(200)
    assert (west.kernel.sas, east.kernel.sas, west.pairs(), east.pairs(), network.bugs()) == ({}, {}, 0, 0, [])
    west.up()
    network.run(10)
    assert works(west, east)


def test_a_kernel_that_refuses_at_the_responders_last_step_is_told_to_the_initiator() -> None:
    network, west, east = pair(keying_tries=1)
    network.each_step = lambda: (
        east.kernel.fail("add_sa") if east.said("STATE_QUICK_R1") and not east.kernel._failures else None
    )
    west.up()
    network.run(3)
    assert east.said("the kernel refused add_sa")
    network.each_step = lambda: None
    east.kernel._failures.clear()
    network.run(300)
    assert west.pairs() == east.pairs()
    assert len(west.kernel.sas) == len(east.kernel.sas)
    assert network.bugs() == []


@pytest.mark.parametrize("verb", ["prepare", "route", "up"])
def test_an_updown_script_that_fails_reaches_whoever_waits(verb: str) -> None:
    network, west, east = pair(keying_tries=1)
    west.updown.fail(verb)
    west.up()
    network.run(200)
    assert west.statuses == [31]
    assert west.was_told(f"updown {verb} of west-east failed: told to")
    assert (west.kernel.sas, east.kernel.sas, network.bugs()) == ({}, {}, [])


def test_a_connection_to_anybody_cannot_be_initiated() -> None:
    network = Network()
    box = network.box(EAST)
    box.add(connection(EAST, "%any"))
    with pytest.raises(CygnetError, match="a peer at any address: it cannot be initiated from here"):
        box.up()


@pytest.mark.parametrize("kind", [Type.DROP, Type.PASSTHROUGH, Type.REJECT])
def test_a_plain_policy_cannot_be_initiated(kind: Type) -> None:
    _, west, _ = pair(type=kind)
    with pytest.raises(CygnetError, match="there is nothing to negotiate, use ipsec auto --route"):
        west.up()


@pytest.mark.parametrize("request_", ["up", "down"])
def test_a_connection_that_was_not_added_is_named(request_: str) -> None:
    _, west, _ = pair()
    with pytest.raises(CygnetError, match='no connection named "nobody": ipsec auto --add nobody loads it'):
        getattr(west, request_)("nobody")


def test_a_connection_is_added_once() -> None:
    _, west, _ = pair()
    with pytest.raises(CygnetError, match="--replace"):
        west.add(connection(WEST, EAST))


FATES = [
    (Shunt.NONE, "acquire", "%trap"),
    (Shunt.DROP, "drop", "%drop"),
    (Shunt.REJECT, "reject", "%reject"),
    (Shunt.PASSTHROUGH, "clear", "%pass"),
]


@pytest.mark.parametrize(("shunt", "fate", "word"), FATES)
def test_a_routed_connection_that_fails_leaves_its_failureshunt(shunt: Shunt, fate: str, word: str) -> None:
    network, west, _ = pair(failure_shunt=shunt, keying_tries=1)
    network.tamper = lambda _path, _packet: None
    west.route()
    west.up()
    network.run(200)
    west.kernel.larval_timeout()
    assert west.kernel.traffic("10.1.0.5", "10.2.0.5") == fate
    assert west.engine.status()[0].endswith(f"eroute owner: #0; {word}")


def test_traffic_brings_a_routed_connection_up() -> None:
    network, west, east = pair()
    west.route()
    assert west.traffic("10.1.0.5", "10.2.0.5") == "acquire"
    assert west.traffic("10.1.0.6", "10.2.0.6") == "acquire"
    network.run(5)
    assert (west.isakmp(), west.pairs()) == (1, 1)
    assert works(west, east)


def test_aggressive_mode_is_refused_with_a_reason() -> None:
    network, west, east = established()
    chain = join((VendorId(b"aggressive"),))
    header = Header(b"stranger", bytes(8), PayloadType.VENDOR, Exchange.AGGRESSIVE)
    network.inject(network.wire[0].path, header.pack(HEADER_SIZE + len(chain)) + chain)
    network.run(1)
    assert east.said("aggressive mode is refused: it sends a hash of the pre-shared secret to whoever asks")
    assert network.wire[-1].header.exchange == Exchange.INFORMATIONAL
    assert works(west, east)


def test_one_answer_to_a_refusal_that_cannot_be_read_is_no_endless_conversation() -> None:
    network, _, _ = refused(secrets=(SECRET, OTHER))
    assert len(network.wire) < 12


def test_the_words_hold_no_secret() -> None:
    _, west, east = refused(secrets=(SECRET, OTHER))
    words = "\n".join(west.log + east.log + west.engine.status() + east.engine.status())
    assert PSK.decode() not in words
    assert "another secret" not in words
