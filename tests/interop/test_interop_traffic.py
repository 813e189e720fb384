"""Traffic through tunnels of two daemons, on the kernel's own ESP, AH and IPComp: counted by the SAs, looked for on the wire.

First strongSwan with libreswan, to show that the peers work; then Cygnet with each of them.
"""

from __future__ import annotations

import pytest
from gateways import Kind
from street import Street
from tunnels import PATTERN, PINGS, SIZE, assert_carries, bring_up

from builder.smoke.capture import holds, kinds

KINDS = {
    "aes cbc": Kind(),
    "aes gcm": Kind({"esp": "aes_gcm256"}, {"esp": "aes_gcm256"}, {"esp": "aes256gcm128-modp2048"}),
    "aes ctr": Kind(
        {"esp": "aes_ctr128-sha2_512"}, {"esp": "aes_ctr128-sha2_512"}, {"esp": "aes128ctr-sha512-modp2048"}
    ),
    "3des": Kind(
        {"ike": "3des-sha1-modp1536", "esp": "3des-md5"}, {"ike": "3des-sha1-modp1536", "esp": "3des-md5"},
        {"ike": "3des-sha1-modp1536", "esp": "3des-md5-modp1536"},
    ),
    "elliptic curve": Kind(
        {"ike": "aes256-sha2_384-ecp384"}, {"ike": "aes256-sha2_384-dh20"},
        {"ike": "aes256-sha384-ecp384", "esp": "aes128-sha256-ecp384"},
    ),
    "ah": Kind(
        {"phase2": "ah", "esp": "", "ah": "sha2_256"}, {"phase2": "ah", "esp": "sha2_256"},
        {"phase_2": "ah", "esp": "sha256-modp2048"}, protocol="ah", frames="ah", readable=True,
    ),
    "ipcomp": Kind({"compress": "yes"}, {"compress": "yes"}, {"child": "ipcomp = yes"}),
    "in udp": Kind({"forceencaps": "yes"}, {"encapsulation": "yes"}, {"more": "encap = yes"}, frames="ike"),
    "transport": Kind(
        {"type": "transport", "leftsubnet": "", "rightsubnet": ""},
        {"type": "transport", "leftsubnet": "", "rightsubnet": ""}, {"mode": "transport"}, transport=True,
    ),
}  # fmt: skip
# libreswan rekeys IKEv1 tunnels only by the clock.
SHORT = Kind(libreswan={"salifetime": "20s", "rekeymargin": "17s", "rekeyfuzz": "0%"})
PEERS = ("strongswan", "libreswan")
# Each kind with each peer; who calls changes from one to the next, the first kind has all four.
CASES = [
    (name, *(("cygnet", peer) if (row + column) % 2 == 0 else (peer, "cygnet")))
    for row, name in enumerate(KINDS)
    for column, peer in enumerate(PEERS)
]
CASES += [("aes cbc", "strongswan", "cygnet"), ("aes cbc", "cygnet", "libreswan")]


def test_ping_in_clear_is_seen(clean: Street) -> None:
    """Without a tunnel the ping is in clear on the wire, so the look at the wire can fail"""
    one, other = clean.gateways["strongswan"], clean.gateways["libreswan"]
    mark = clean.wire.mark()
    assert f"{PINGS} packets received" in one.ping(one.host, other.host, PINGS, f"-i 0.1 -s {SIZE} -p a5")
    assert holds(clean.wire.since(mark), PATTERN)


def test_the_peers_work(clean: Street) -> None:
    """strongSwan and libreswan agree with each other"""
    one, other = clean.gateways["strongswan"], clean.gateways["libreswan"]
    bring_up(one, other, KINDS["aes cbc"])
    assert_carries(clean, one, other, KINDS["aes cbc"])


@pytest.mark.parametrize(("name", "asks", "answers"), CASES, ids=[", ".join(case) for case in CASES])
def test_a_tunnel_carries(clean: Street, name: str, asks: str, answers: str) -> None:
    """Cygnet and a peer agree on a tunnel: its SAs count the hosts' packets, the wire shows nothing else"""
    one, other = clean.gateways[asks], clean.gateways[answers]
    bring_up(one, other, KINDS[name])
    assert_carries(clean, one, other, KINDS[name])


@pytest.mark.parametrize("rekeys", ["cygnet", "strongswan", "libreswan"])
def test_rekeying_loses_no_packet(clean: Street, rekeys: str) -> None:
    """Either end rekeys under traffic: new SAs take over and not one ping is lost"""
    cygnet, peer = clean.gateways["cygnet"], clean.gateways["libreswan" if rekeys == "libreswan" else "strongswan"]
    bring_up(*((peer, cygnet) if rekeys == "libreswan" else (cygnet, peer)), SHORT)
    first = set(cygnet.sas())
    mark = clean.wire.mark()
    cygnet.machine.text(f"busybox ping -c 70 -i 0.1 -W 5 -I {cygnet.host} {peer.host} >/tmp/pings 2>&1 &")
    clean.gateways[rekeys].rekey()
    said = cygnet.machine.wait_for("cat /tmp/pings", lambda text: "packets transmitted" in text)
    assert "70 packets transmitted, 70 packets received" in said, f"{said}\n{cygnet.log()[-2000:]}"
    frames = clean.wire.since(mark)
    assert {frame.spi for frame in frames if frame.kind == "esp"} > first
    assert kinds(frames).keys() <= {"esp", "ike", "arp"}


def test_down_leaves_nothing(clean: Street) -> None:
    """`ipsec auto --down` takes the SAs away at both ends"""
    cygnet, peer = clean.gateways["cygnet"], clean.gateways["libreswan"]
    bring_up(cygnet, peer, KINDS["aes cbc"])
    cygnet.machine.text("ipsec auto --down net")
    assert cygnet.sas() == {}
    peer.machine.wait_for("true", lambda _: peer.sas() == {})
