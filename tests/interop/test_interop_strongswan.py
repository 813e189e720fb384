"""Cygnet and strongSwan negotiate: who proves how who he is, rekeying, ends, dead peers, NAT, long messages.

A tunnel counts as up when both ends have the same SPIs and the same keys (meeting.py).
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from credentials import Authority, make_key, subject
from ipsec_conf import IpsecConn
from meeting import CYGNET, EAST_END, SWAN, WEST_END, Meeting
from swanctl_config import Conn, End
from topology import EAST

BOTH = ("cygnet", "strongswan")
WEST_NAME, EAST_NAME = "west.example.org", "east.example.org"
by_whom = pytest.mark.parametrize("by", BOTH)


def named(end: End, identity: str, credential: str = "") -> End:
    """An end with an identity of its own."""
    return replace(end, identity=identity, credential=credential)


@by_whom
def test_main_mode_with_a_psk(meeting: Meeting, by: str) -> None:
    """Main mode with a PSK, quick mode with PFS: up, and said as FreeS/WAN says it"""
    meeting.start()
    said = meeting.bring_up(by)
    if by == "cygnet":
        assert re.search(r'^104 "net" #\d+: STATE_MAIN_I1: initiate$', said, re.MULTILINE), said
        assert re.search(r'^004 "net" #\d+: STATE_QUICK_I2: .*IPsec SA established', said, re.MULTILINE), said
    assert re.search(r"#\d+: .net. STATE_QUICK_.2 \(IPsec SA established\)", meeting.cygnet.status())


@by_whom
def test_main_mode_with_raw_rsa_keys(meeting: Meeting, by: str) -> None:
    """RSA signatures with raw keys: leftrsasigkey= at one end, public keys in files at the other"""
    west, east = make_key(), make_key()
    for place, content in (
        ("rsa/east.pem", east.pem), ("pubkey/east.pem", east.public_pem), ("pubkey/west.pem", west.public_pem),
    ):  # fmt: skip
        meeting.swan.add_file(place, content)
    keys = {"authby": "rsasig", "leftrsasigkey": west.rsasigkey, "rightrsasigkey": east.rsasigkey}
    meeting.start(
        IpsecConn(named(WEST_END, f"@{WEST_NAME}"), named(EAST_END, f"@{EAST_NAME}"), keys),
        Conn(
            named(EAST_END, EAST_NAME, "pubkeys = east.pem"), named(WEST_END, WEST_NAME, "pubkeys = west.pem"), "pubkey"
        ),
        west.secrets,
    )
    meeting.bring_up(by)


def certified(
    meeting: Meeting, authority: Authority, west: str, east: str, more: str = "", cygnet: str = "yes"
) -> None:
    """Both ends with certificates of one CA, neither with the other's. ``more``: for strongSwan's connection."""
    keys = make_key(), make_key()
    for place, content in (
        ("x509ca/ca.pem", authority.pem), ("x509/east.pem", authority.certify(keys[1], EAST_NAME)),
        ("private/east.pem", keys[1].pem),
    ):  # fmt: skip
        meeting.swan.add_file(place, content)
    meeting.cygnet.write("ipsec.d/cacerts/ca.pem", authority.pem)
    meeting.cygnet.write("ipsec.d/certs/west.pem", authority.certify(keys[0], WEST_NAME))
    meeting.cygnet.write("ipsec.d/private/west.pem", keys[0].pem, 0o600)
    lines = {"authby": "rsasig", "leftcert": "west.pem", "rightrsasigkey": "%cert", "fragmentation": cygnet}
    meeting.start(
        IpsecConn(named(WEST_END, west), named(EAST_END, east), lines),
        Conn(
            named(EAST_END, east.lstrip("@").strip('"'), "certs = east.pem"),
            named(WEST_END, west.lstrip("@").strip('"')), "pubkey", more=more,
        ),
        ": RSA west.pem\n",
    )  # fmt: skip


NAMES = {
    "host names": (f"@{WEST_NAME}", f"@{EAST_NAME}"),
    "subjects": (f'"{subject(WEST_NAME)}"', f'"{subject(EAST_NAME)}"'),
}


@by_whom
@pytest.mark.parametrize("names", NAMES)
def test_main_mode_with_certificates(meeting: Meeting, by: str, names: str) -> None:
    """X.509: each knows only the CA and the other's name, and gets the certificate in IKE"""
    certified(meeting, Authority(), *NAMES[names])
    meeting.bring_up(by)


STRANGERS = {
    "another CA": ("Another CA", r"O=Cygnet, CN=east\.example\.org.*O=Cygnet, CN=Cygnet Test CA"),
    "another CA of the same name": ("Cygnet Test CA", r"signature of .*CN=east\.example\.org is wrong"),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_certificate_of_another_ca_is_refused(meeting: Meeting, stranger: str) -> None:
    """A certificate of a CA that is not trusted brings nothing up, and the log says why"""
    name, words = STRANGERS[stranger]
    certified(meeting, Authority(), *NAMES["host names"])
    meeting.cygnet.write("ipsec.d/cacerts/ca.pem", Authority(name).pem)
    meeting.cygnet.auto("--rereadall", "")
    _, status = meeting.swan.initiate("net", seconds=5)
    assert status != 0
    assert meeting.cygnet.sas() == []
    assert re.search(words, meeting.cygnet.log()), meeting.cygnet.log()


@by_whom
def test_long_messages_go_in_fragments(meeting: Meeting, by: str) -> None:
    """Certificates that make messages longer than a packet: IKE fragmentation, both ways"""
    certified(meeting, Authority(padding=3000), *NAMES["host names"], more="fragmentation = yes")
    meeting.bring_up(by)
    log = meeting.swan.log()
    assert re.search(r"splitting IKE message \(\d+ bytes\) into \d fragments", log)
    assert re.search(r"received fragment #\d+.*, reassembled fragmented IKE message", log)


@by_whom
def test_without_fragmentation_long_messages_go_whole(meeting: Meeting, by: str) -> None:
    """The same with fragmentation=no: IP fragments carry the messages"""
    certified(meeting, Authority(padding=3000), *NAMES["host names"], more="fragmentation = no", cygnet="no")
    meeting.bring_up(by)
    assert "fragment" not in meeting.swan.log().replace("FRAGMENTATION", "")


# Rekeying


@by_whom
def test_phase_2_is_rekeyed(meeting: Meeting, by: str) -> None:
    """A child is replaced at the wish of either end: new SPIs, new keys; Cygnet takes away what it has replaced"""
    meeting.start()
    meeting.bring_up("cygnet")
    before = meeting.agree("cygnet")
    if by == "cygnet":
        meeting.cygnet.auto("--up")
    else:
        meeting.swan.rekey(child="net")
    after = meeting.agree(by, replaces=before)
    assert {before.outbound, before.inbound}.isdisjoint({after.outbound, after.inbound})
    if by == "cygnet":
        # strongSwan leaves its own to their end.
        meeting.cygnet.wait(lambda: len(meeting.cygnet.sas()) == 2)
    assert meeting.agree(by) == after


def test_phase_2_is_rekeyed_before_it_expires(meeting: Meeting) -> None:
    """keylife= comes to its end: Cygnet has replaced the child before, strongSwan never is without one"""
    meeting.start(replace(CYGNET, more={"keylife": "8s", "rekeymargin": "4s", "rekeyfuzz": "0%"}))
    meeting.bring_up("cygnet")
    before = meeting.agree("cygnet")
    meeting.agree("cygnet", replaces=before)


@by_whom
def test_phase_1_is_rekeyed(meeting: Meeting, by: str) -> None:
    """The ISAKMP SA is replaced by either end; the child stays, and is rekeyed under the new one"""
    short = {"ikelifetime": "6s", "rekeymargin": "4s", "rekeyfuzz": "0%"}
    meeting.start(replace(CYGNET, more=short) if by == "cygnet" else CYGNET)
    meeting.bring_up("cygnet")
    pair = meeting.agree("cygnet")
    first = meeting.swan.ikes()[0]["initiator-spi"]
    if by == "strongswan":
        meeting.swan.rekey(ike="net")
    meeting.cygnet.wait(lambda: first not in [sa["initiator-spi"] for sa in meeting.swan.ikes()] != [])
    assert meeting.agree("cygnet") == pair
    meeting.swan.rekey(child="net")
    meeting.agree("strongswan", replaces=pair)


# Ends


def test_down_is_told_to_the_peer(meeting: Meeting) -> None:
    """`ipsec auto --down`: strongSwan has nothing left, either"""
    meeting.start()
    meeting.bring_up("cygnet")
    meeting.cygnet.auto("--down")
    meeting.gone()


def test_the_peer_takes_it_down(meeting: Meeting) -> None:
    """strongSwan deletes the connection: Cygnet has nothing left, either"""
    meeting.start()
    meeting.bring_up("cygnet")
    meeting.swan.terminate(ike="net")
    meeting.gone()


def test_the_peer_takes_a_child_down(meeting: Meeting) -> None:
    """strongSwan deletes the child only: the ISAKMP SA stays and serves the next one"""
    meeting.start()
    meeting.bring_up("cygnet")
    cookie = meeting.swan.ikes()[0]["initiator-spi"]
    meeting.swan.terminate(child="net")
    meeting.cygnet.wait(lambda: meeting.cygnet.sas() == [])
    meeting.bring_up("cygnet")
    assert [sa["initiator-spi"] for sa in meeting.swan.ikes()] == [cookie]


# Dead peers

DPD = {"dpddelay": "1s", "dpdtimeout": "3s"}


SWAN_ASKS = replace(SWAN, more="dpd_delay = 1s\n dpd_timeout = 3s", child="dpd_action = clear")
DPD_LOG = {"cygnet": (r"parsed .*N\(DPD\)", r"generating .*N\(DPD_ACK\)"),
           "strongswan": (r"generating .*N\(DPD\)", r"parsed .*N\(DPD_ACK\)")}  # fmt: skip


@by_whom
def test_a_living_peer_answers(meeting: Meeting, by: str) -> None:
    """One end asks for longer than it would wait for answers; the other answers, and nobody gives up"""
    asks = replace(CYGNET, more={**DPD, "dpdaction": "clear"})
    meeting.start(*((asks, SWAN) if by == "cygnet" else (CYGNET, SWAN_ASKS)))
    meeting.bring_up("cygnet")
    pair = meeting.agree("cygnet")
    for line in DPD_LOG[by]:
        meeting.cygnet.wait(lambda line=line: len(re.findall(line, meeting.swan.log())) >= 4)
    assert meeting.agree("cygnet") == pair


def test_a_dead_peer_is_cleared(meeting: Meeting) -> None:
    """strongSwan is killed: with dpdaction=clear Cygnet removes what it had with it, and says so"""
    meeting.start(replace(CYGNET, more={**DPD, "dpdaction": "clear"}))
    meeting.bring_up("cygnet")
    meeting.swan.kill()
    meeting.cygnet.wait(lambda: meeting.cygnet.sas() == [])
    assert re.search(r"DPD|dead", meeting.cygnet.log())


def test_a_dead_peer_is_called_again(meeting: Meeting) -> None:
    """strongSwan is killed and started anew: with dpdaction=restart Cygnet brings the tunnel up again by itself"""
    meeting.start(replace(CYGNET, more={**DPD, "dpdaction": "restart", "keyingtries": "%forever"}))
    meeting.bring_up("cygnet")
    before = meeting.agree("cygnet")
    meeting.swan.kill()
    meeting.swan.restart()
    meeting.swan.load(str(SWAN))
    meeting.agree("cygnet", replaces=before)


def test_a_dead_cygnet_is_found_out(meeting: Meeting) -> None:
    """Cygnet is killed: strongSwan's DPD finds out, so it was Cygnet that had answered before"""
    meeting.start(swan=SWAN_ASKS)
    meeting.bring_up("cygnet")
    meeting.cygnet.kill()
    meeting.swan.wait(lambda: meeting.swan.list_sas() == [])


def test_a_restarted_cygnet_is_believed(meeting: Meeting) -> None:
    """Cygnet is killed and comes back: its initial contact ends what strongSwan still had"""
    meeting.start()
    meeting.bring_up("cygnet")
    before = meeting.agree("cygnet")
    meeting.cygnet.kill()
    meeting.cygnet.start()
    meeting.cygnet.auto("--up")
    meeting.agree("cygnet", replaces=before)
    meeting.cygnet.wait(lambda: len(meeting.swan.ikes()) == len(meeting.swan.children()) == 1)


# Words


def test_a_wrong_psk_is_said(meeting: Meeting) -> None:
    """Another PSK at the peer: `--up` fails, and says that it may be the secret"""
    meeting.start(swan=replace(SWAN, psk="another swan's secret"))
    said, status = meeting.cygnet.ipsec("auto", "--up", "net")
    assert status != 0
    assert re.search(r"secrets probably differ|authentication failure", said), said
    assert "7 cygnets" not in said + meeting.cygnet.log()
    assert meeting.cygnet.sas() == []


def test_a_peer_with_a_wrong_psk_is_said(meeting: Meeting) -> None:
    """A peer comes with another PSK: it gets nothing, and the log says that it may be the secret"""
    meeting.start(swan=replace(SWAN, psk="another swan's secret"))
    _, status = meeting.swan.initiate("net", seconds=4)
    assert status != 0
    assert "mismatch of preshared secrets" in meeting.cygnet.log()
    assert "7 cygnets" not in meeting.cygnet.log()
    assert meeting.cygnet.sas() == []


MISMATCHES: dict[str, tuple[IpsecConn, Conn, str]] = {
    "phase 1": (CYGNET, replace(SWAN, ike="aes256-sha512-modp3072"), r"Our proposals were: .*aes_?128-sha2_256-(modp2048|group14)"),
    "phase 2": (CYGNET, replace(SWAN, esp="aes256-sha512-modp2048"), r"Our proposals were: .*aes_?128-sha2_256"),
    "identity": (
        replace(CYGNET, remote=named(EAST_END, "@south.example.org")), SWAN,
        rf"the peer says that it is {re.escape(EAST)}, and this connection is for @south.example.org",
    ),
    "networks": (
        replace(CYGNET, local=replace(WEST_END, network="10.9.0.0/24")), SWAN,
        r"INVALID_ID_INFORMATION",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", MISMATCHES)
def test_a_mismatch_is_said(meeting: Meeting, what: str) -> None:
    """The ends do not fit together: `--up` ends with a status and says in words what does not fit"""
    cygnet, swan, words = MISMATCHES[what]
    meeting.start(cygnet, swan)
    said, status = meeting.cygnet.ipsec("auto", "--up", "net")
    assert status != 0
    assert re.search(words, said), said
    assert meeting.cygnet.sas() == []


CALLS: dict[str, tuple[IpsecConn, Conn, str]] = {
    "phase 1": (
        CYGNET, replace(SWAN, ike="aes256-sha512-modp3072"),
        r"Ours: .*aes_?128-sha2_256-(modp2048|group14).*Theirs: .*aes_?256-sha2_512-(modp3072|group15)",
    ),
    "phase 2": (
        CYGNET, replace(SWAN, esp="aes256-sha512-modp2048"),
        r"Ours: .*aes_?128-sha2_256.*Theirs: .*aes_?256-sha2_512",
    ),
    "identity": (CYGNET, replace(SWAN, local=named(EAST_END, "north.example.org")), r"north\.example\.org"),
    "networks": (CYGNET, replace(SWAN, local=replace(EAST_END, network="10.9.0.0/24")), r"10\.9\.0\.0/24"),
}  # fmt: skip


@pytest.mark.parametrize("what", CALLS)
def test_a_caller_that_does_not_fit_is_said(meeting: Meeting, what: str) -> None:
    """A peer calls and does not fit: it gets nothing, and the log shows ours beside theirs"""
    cygnet, swan, words = CALLS[what]
    meeting.start(cygnet, swan)
    _, status = meeting.swan.initiate("net", seconds=4)
    assert status != 0
    assert re.search(words, meeting.cygnet.log()), meeting.cygnet.log()
    assert meeting.cygnet.sas() == []
