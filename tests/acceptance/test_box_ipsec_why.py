"""``ipsec why``: things are broken one by one on two boxes, and one paragraph names the cause and what mends it.

The first tests have a box whose peer does not answer yet; the tunnel that the later ones break is made after them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from keying import PATIENCE, configure, conn, forget, stands, start, write
from offices import Offices, Side, offices, quiet_wire

from builder.smoke.box import Box
from builder.smoke.capture import Capture

pytestmark = pytest.mark.once
SECRETS = '192.0.2.1 192.0.2.2 : PSK "correct horse battery staple"\n'
LOADED = ("authby=secret", "auto=add")
# What box-a has, and what box-b; the first is brought up by box-a again and again.
CONNS_A = (
    conn("tunnel", "authby=secret", "keyingtries=0", "auto=start"),
    conn("esp-differs", *LOADED, "esp=3des-md5"),
    conn("nets-differ", *LOADED, "leftsubnet=10.1.0.0/24", "rightsubnet=10.3.0.0/24", lans=False),
)
CONNS_B = (conn("tunnel", *LOADED), conn("esp-differs", *LOADED), conn("nets-differ", *LOADED))


@pytest.fixture(scope="module")
def unanswered(boxes: dict[str, Box], capture: Capture) -> Iterator[Offices]:
    """The first box's daemon runs and wants its tunnel; the second's is configured, with another secret, and does not run."""
    for box in boxes.values():
        box.log_in()
    with quiet_wire(*boxes.values()), offices(boxes, capture) as made:
        configure(made.a, "".join(CONNS_A), SECRETS)
        configure(made.b, "".join(CONNS_B), SECRETS.replace("correct", "wrong"))
        start(made.a)
        yield made
        for side, _ in made.both:
            forget(side)


@pytest.fixture(scope="module")
def tunnel(unanswered: Offices) -> Offices:
    """Both daemons run and have the same secret; the tunnel stands, and has carried nothing yet."""
    write(unanswered.b.box, "/etc/ipsec.secrets", SECRETS)
    start(unanswered.b)
    again(unanswered.a)
    stands(unanswered, 2)
    return unanswered


def again(side: Side) -> None:
    """Begin anew with the tunnel, and do not wait."""
    side.box.text("ipsec auto --down tunnel && ipsec auto --asynchronous --up tunnel", PATIENCE)


@contextmanager
def broken(side: Side, command: str, mended: str) -> Iterator[None]:
    """Something is wrong on a box for a while."""
    side.box.text(command)
    yield
    side.box.text(mended)


@contextmanager
def rule(side: Side, text: str, table: str = "filter") -> Iterator[None]:
    """A rule of iptables before all others, for a while."""
    with broken(side, f"iptables -t {table} -I {text}", f"iptables -t {table} -D {text}"):
        yield


def why(side: Side, name: str = "tunnel", works: bool = False) -> str:
    """What is wrong, in one paragraph; its exit status is right."""
    said, status = side.box.run(f"ipsec why {name}", PATIENCE)
    assert status == (0 if works else 1), said
    assert len(said.splitlines()) == 1, said
    assert "horse" not in said
    return said


def test_silence_and_whose_firewall_it_is(unanswered: Offices) -> None:
    """UDP 500 dropped at one end: the other says that nothing comes back, this one names its rule, its daemon dead as it is"""
    a, b = unanswered.a, unanswered.b
    with rule(b, "INPUT -p udp --dport 500 -j DROP"):
        again(a)
        here, there = why(a), why(b)
    assert '"tunnel" does not work: IKE packets go to 192.0.2.2 (the last one ' in here
    assert "nothing comes back, not even ICMP" in here
    assert "let UDP 500, UDP 4500 and protocol 50 (ESP) pass" in here
    assert 'does not work: Pluto is not running (no "/run/pluto/pluto.ctl"); start it with "ipsec setup start"' in there
    assert (
        "Also: this box's own firewall stops IKE that comes in: `iptables -A INPUT -p udp -m udp --dport 500 -j DROP`"
        in there
    )
    assert "`iptables -D INPUT -p udp -m udp --dport 500 -j DROP` takes it away" in there
    assert "has met 0 packets" not in there
    # The daemon's start forwards.
    assert "forwards" not in there


def test_a_peer_without_a_daemon(unanswered: Offices) -> None:
    """The peer's daemon is dead: ICMP says so, and the paragraph believes it"""
    again(unanswered.a)
    said = why(unanswered.a)
    assert "192.0.2.2 is there and says that nobody listens at its IKE port" in said
    assert "Start it there: `ipsec setup start`" in said


def test_different_secrets(unanswered: Offices) -> None:
    """The shared secrets differ: both ends say so, and no secret is shown"""
    start(unanswered.b)
    again(unanswered.a)
    for side in (unanswered.a, unanswered.b):
        said = why(side)
        assert "does not work: the two ends have different shared secrets" in said
        assert "write the same `: PSK` line into /etc/ipsec.secrets of both" in said


def test_esp_that_is_dropped_at_one_end(tunnel: Offices) -> None:
    """ESP dropped while IKE passes: one end names the rule, the other says protocol 50, and that UDP would pass"""
    with rule(tunnel.b, "INPUT -p esp -j DROP"):
        tunnel.a.at_host(f"ping -c 4 -i 0.2 -W 1 {tunnel.b.host}")
        here, there = why(tunnel.a), why(tunnel.b)
    assert (
        "does not work: the tunnel stands and IKE passes, but 4 encrypted packets went out and none came back" in here
    )
    assert "forceencaps=yes" in here
    assert "this box's own firewall stops ESP that comes in: `iptables -A INPUT -p esp -j DROP`" in there
    assert "has met 4 packets; `iptables -D INPUT -p esp -j DROP` takes it away" in there


def test_a_tunnel_that_works(tunnel: Offices) -> None:
    """A tunnel that carries: it says so, with the packets and bytes of both ways"""
    assert tunnel.a.ping(tunnel.b.host) == 5
    assert '"tunnel" works: out 9 packets (' in why(tunnel.a, works=True)
    assert "; in 5 packets (2140 bytes), the last " in why(tunnel.b, works=True).replace("out 5", "in 5")


def test_what_the_ends_do_not_agree_on(tunnel: Offices) -> None:
    """Other algorithms, other subnets: each connection has its line, with what is here and what is there"""
    for name in ("esp-differs", "nets-differ"):
        assert tunnel.a.box.run(f"ipsec auto --up {name}", PATIENCE)[1] != 0
    said, status = tunnel.a.box.run("ipsec why", PATIENCE)
    lines = dict(line.split('" ', 1) for line in said.splitlines())
    assert status == 1
    assert lines['"tunnel'].startswith("works: ")
    assert "the two ends have no algorithms in common: this end offered 3des" in lines['"esp-differs']
    assert "the peer takes aes_gcm" in lines['"esp-differs']
    assert "give both the same ike=, esp=" in lines['"esp-differs']
    assert (
        "do not agree which networks the tunnel is for; here these are 10.1.0.0/24 on this side, 10.3.0.0/24 on the peer's"
        in lines['"nets-differ']
    )
    assert "make leftsubnet= and rightsubnet= the same" in lines['"nets-differ']


def test_forwarding_and_masquerading(tunnel: Offices) -> None:
    """Forwarding off and masquerading caught the tunnel's packets: both are named, with the commands that mend them"""
    forward = "/proc/sys/net/ipv4/ip_forward"
    with (
        broken(tunnel.a, f"echo 0 >{forward}", f"echo 1 >{forward}"),
        rule(tunnel.a, "POSTROUTING -j MASQUERADE", "nat"),
    ):
        said = why(tunnel.a)
    assert "this box forwards nothing between 10.1.0.0/24 and the tunnel: `sysctl -w net.ipv4.ip_forward=1`" in said
    assert "Also: `iptables -t nat -A POSTROUTING -j MASQUERADE` gives the tunnel's packets another source" in said
    assert "`iptables -t nat -I POSTROUTING -o ipsec0 -j ACCEPT` spares them" in said
