"""``ipsec why``: whatever a negotiation failed by, both ends say what it was, by the facts that the daemon gives."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
from cygnet.connection.connection import AuthBy
from cygnet.connection.identity import Identity, IdType
from cygnet.connection.proposal import ChildProposal, IkeProposal
from cygnet.connection.secret import PresharedKey, Secrets
from cygnet.ike.message import read_header
from cygnet.ike.path import Path
from cygnet.why.facts import Carried, Facts
from cygnet.why.gather import by_name
from cygnet.why.host import Way
from cygnet.why.rules import diagnose
from simulation import EAST, NAME, SECRET, WEST, Box, Network, connection, established, pair

OTHER = Secrets((PresharedKey((), b"another secret"),))
NORTH = Identity(IdType.FQDN, b"north.example.org")
NETS = connection(WEST, EAST)
MINE, ITS = (IkeProposal("aes", 256, "sha1", 14),), (IkeProposal("3des", 192, "md5", 2),)


def facts(box: Box, **more: Any) -> Facts:
    """What is known at a box whose surroundings are all as they should be."""
    said = by_name(box.engine.why("", box.network.now))
    loaded = box.engine.connections[NAME]
    return Facts(loaded, said=said.get(NAME, {}), to_theirs=Way("ipsec0"), **more)


def why(box: Box, **more: Any) -> str:
    return str(diagnose(facts(box, **more)))


def tried(seconds: float = 100, **changes: Any) -> tuple[Network, Box, Box]:
    """West tries once."""
    network, west, east = pair(**{"keying_tries": 1, **changes})
    west.up()
    network.run(seconds)
    return network, west, east


# What differs; what west says, which begins; what east says.
CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "secret": ({"secrets": (SECRET, OTHER)}, "different shared secrets", "different shared secrets"),
    "no secret there": ({"secrets": (SECRET, Secrets())}, "proof of who it is", "no secret for 192.0.2.2 and 192.0.2.1"),
    "ike": (
        {"west": {"ike": MINE}, "east": {"ike": ITS}},
        "no algorithms in common: this end offered aes_256-sha1-group14 by preshared secret; the peer takes 3des_192-md5-group2",
        "this end takes 3des_192-md5-group2 by preshared secret; the peer offers aes_256-sha1-group14",
    ),
    "esp": (
        {"west": {"child": (ChildProposal("aes", 128, "sha2_256"),)}, "east": {"child": (ChildProposal("3des", 192, "md5"),)}},
        "this end offered aes_128-sha2_256 (tunnel, PFS group31); the peer takes 3des_192-md5",
        "this end takes 3des_192-md5 (tunnel, PFS); the peer offers aes_128-sha2_256",
    ),
    "subnets": (
        {"east": {"there": replace(connection(EAST, WEST).there, subnet=ip_network("10.9.0.0/24"))}},
        "do not agree which networks the tunnel is for; here these are 10.1.0.0/24 on this side, 10.2.0.0/24 on the peer's",
        "do not agree which networks the tunnel is for; here these are 10.2.0.0/24 on this side, 10.9.0.0/24 on the peer's",
    ),
    "name": ({"west": {"here": replace(NETS.here, id=NORTH)}}, "the peer's name", "says it is @north.example.org"),
    "name there": ({"west": {"there": replace(NETS.there, id=NORTH)}}, "says that it is 192.0.2.2", "the peer's name"),
    "method": ({"east": {"auth_by": AuthBy.RSASIG}}, "no algorithms in common", "no algorithms in common"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_both_ends_say_what_they_do_not_agree_on(name: str) -> None:
    changes, at_west, at_east = CASES[name]
    _, west, east = tried(**changes)
    assert at_west in why(west)
    assert at_east in why(east)
    assert "correct horse" not in why(west) + why(east)


def test_a_peer_that_never_answers_is_told_from_one_that_stops() -> None:
    """Given a wire that is cut before the first answer, or later, then what is said differs."""
    network, west, _ = pair(keying_tries=1)
    network.tamper = lambda path, packet: None
    west.up()
    network.run(20)
    assert "IKE packets go to 192.0.2.2 (the last one 6 s ago), and nothing comes back, not even ICMP" in why(west)
    network, west, east = pair(keying_tries=1)
    network.tamper = lambda path, packet: None if read_header(packet).encrypted else packet
    west.up()
    network.run(20)
    assert "it is being negotiated just now" in why(west)
    network.run(100)
    assert "the peer answered at first and then no more" in why(west)
    assert "our answers or its next packets are lost" in why(east)


def test_answers_that_get_lost_are_seen_by_who_gives_them() -> None:
    network, west, east = pair(keying_tries=1)
    network.tamper = lambda path, packet: None if str(path.local) == EAST else packet
    west.up()
    network.run(20)
    assert "4 IKE packets came from 192.0.2.1 and 4 went back, and it does not go on" in why(east)


def test_what_icmp_says_is_believed_as_a_hint_until_the_peer_is_heard() -> None:
    network, west, east = pair()
    network.boxes.pop(EAST)
    west.up()
    network.run(3)
    west.engine.lost(NETS.there.host, "111 192.0.2.2", network.now)
    assert "192.0.2.2 is there and says that nobody listens at its IKE port" in why(west)
    network.boxes[EAST] = east
    network.run(1)
    east.network.run(30)
    assert "nobody listens" not in why(west)
    assert diagnose(facts(west, out=Carried(2), back=Carried(2))).works


def test_icmp_about_strangers_is_not_remembered() -> None:
    _, west, _ = pair()
    west.engine.lost(connection("198.51.100.1", "198.51.100.2").there.host, "111 198.51.100.2", 1001.0)
    west.engine.receive(b"x" * 40, Path(NETS.here.host, 500, connection(WEST, "198.51.100.7").there.host, 500), 1001.0)
    assert facts(west).said.keys() <= {"digest", "routing", "tries", "why"}
    assert len(west.engine.roster.contacts._known) == 1


def test_contacts_go_with_the_last_connection_to_a_peer() -> None:
    network, west, _ = established()
    west.add(replace(connection(WEST, EAST), name="second"))
    west.engine.delete(NAME, network.now)
    assert len(west.engine.roster.contacts._known) == 1
    west.engine.delete("second", network.now)
    network.run(200)
    assert dict(west.engine.roster.contacts._known) == {}


def test_a_tunnel_that_stands_says_since_when_it_was_heard_and_how_long_its_keys_last() -> None:
    _, west, _ = established()
    said = facts(west).said
    assert (said["phase1"], said["phase2"], said["routing"]) == ("established", "STATE_QUICK_I2", "erouted")
    assert int(said["expires"]) > 28000
    assert str(facts(west).sent) == "5, the last 5 s ago: quick mode, encrypted, 76 bytes"
    assert str(facts(west).received).startswith("4, the last 5 s ago: quick mode, encrypted, ")


def test_a_tunnel_that_the_peer_took_down_says_so() -> None:
    network, west, east = established(west={"rekey": False})
    east.down()
    network.run(5)
    assert "the other end has taken the tunnel down" in why(west)
    assert "somebody has taken it down here" in why(east)


def test_one_that_nobody_has_asked_for_and_one_that_waits_for_traffic() -> None:
    network, west, _ = pair()
    assert "nobody has asked for it yet: `ipsec auto --up west-east`" in why(west)
    west.route()
    assert diagnose(facts(west)).works
    assert why(west).startswith("waits: the first packet to 10.2.0.0/24 brings it up")


def test_keys_that_cannot_be_renewed_are_said_while_the_old_ones_last() -> None:
    network, west, _ = established(key_life=3600.0, rekey_margin=600.0)
    network.tamper = lambda path, packet: None
    network.run(3400)
    assert "no new keys could be negotiated" in why(west, out=Carried(2, 5), back=Carried(2, 5))


def test_keys_that_expired_are_not_called_unasked_for() -> None:
    network, west, _ = established(rekey=False, key_life=3600.0)
    network.run(3700)
    assert 'its keys have expired, and no new ones were made in time ("its IPsec SA was deleted: expired")' in why(west)


def test_what_cannot_even_be_begun_is_remembered() -> None:
    _, west, _ = pair(secrets=(Secrets(), SECRET))
    with pytest.raises(Exception, match="no secret"):
        west.up()
    assert "no secret for 192.0.2.1 and 192.0.2.2" in why(west)
