"""The commands that find out what is wrong, on boxes with a tunnel between them: verify, ikeping, policy, barf."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from keying import PATIENCE, RsaKey, configure, conn, forget, make_key, stands, start, up, write
from offices import Offices, offices, quiet_wire, read_sas

from builder.smoke.box import Box
from builder.smoke.capture import Capture

pytestmark = pytest.mark.once

PSK = "correct horse battery staple"
MANUAL_KEY = "0x00112233445566778899aabbccddeeff"
SECRETS = f'192.0.2.1 192.0.2.2 : PSK "{PSK}"\n'
# Nobody loads it; its key is one that barf must not show.
BY_HAND = ("auto=ignore", "authby=secret", f"espenckey={MANUAL_KEY}", "esp=3des")
TO_ITSELF = conn("itself", "authby=secret", "auto=add", lans=False)
BARF, SECRET_WORDS = "/tmp/barf", "/tmp/words"
# Sections that are never empty on a box with a tunnel.
FULL = (
    "version ipsec/setup ipsec/status ipsec/look ipsec/policy ipsec/verify ipsec/conf ipsec/secrets ip-addr-list iptables"
    " /proc/net/xfrm_stat kernel-config plog ps box/status"
)


@pytest.fixture(scope="module")
def key() -> RsaKey:
    """A key in both boxes' files, which must not show."""
    return make_key()


@pytest.fixture(scope="module")
def tunnel(boxes: dict[str, Box], capture: Capture, key: RsaKey) -> Iterator[Offices]:
    """Two boxes, and a tunnel between the hosts behind them."""
    for box in boxes.values():
        box.log_in()
    with quiet_wire(*boxes.values()), offices(boxes, capture) as made:
        for side, _ in made.both:
            configure(
                side,
                conn("psk", "authby=secret", "auto=add") + conn("by-hand", *BY_HAND, lans=False),
                SECRETS + key.secret,
            )
            start(side)
        up(made.a, "psk")
        stands(made, 2)
        yield made
        for side, _ in made.both:
            forget(side)


def verdicts(said: str) -> dict[str, str]:
    """What was looked at -> OK, NOTE or FAILED."""
    return dict(re.findall(r"^(\S.*?) *\[(\w+)\]$", said, re.MULTILINE))


def test_verify_finds_nothing_wrong_on_a_good_box(tunnel: Offices) -> None:
    """`ipsec verify` on a box whose tunnel stands: nothing has failed, and all of it was looked at"""
    said = tunnel.a.box.text("ipsec verify", PATIENCE)
    found = verdicts(said)
    assert "FAILED" not in found.values(), said
    for what in (
        "Kernel has XFRM, with interfaces", "Kernel has the algorithms of all connections", "Pluto is running, and listens",
        "Interface ipsec0 on eth0", "Routes to the peers", "IPv4 forwarding, for the subnets",
        "Firewall lets IKE, ESP and AH pass, IPv4", "No address translation in the tunnels, IPv4", 'Connection "psk"',
    ):  # fmt: skip
        assert found[what] == "OK", said


def test_verify_finds_what_is_wrong_and_its_remedies_help(tunnel: Offices) -> None:
    """`ipsec verify` finds a closed firewall, open secrets, no forwarding, a strict rp_filter; its remedies mend them"""
    box = tunnel.a.box
    box.text("cp -p /etc/ipsec.conf /root/kept.conf")
    write(box, "/etc/more.conf", TO_ITSELF.replace("\nconn", "conn") + "\tleft=192.0.2.1\n\tright=192.0.2.2\n", "644")
    box.all_of(
        "echo 'include /etc/more.conf' >>/etc/ipsec.conf",
        "chmod 644 /etc/ipsec.secrets",
        "iptables-save -c >/tmp/rules",
        "iptables -I INPUT -i eth0 -p udp -j DROP",
        "iptables -I INPUT -p esp -j DROP",
        "iptables -I FORWARD -o ipsec+ -j DROP",
        "echo 0 >/proc/sys/net/ipv4/ip_forward",
        *(f"echo 1 >/proc/sys/net/ipv4/conf/{name}/rp_filter" for name in ("all", "eth0")),
    )
    try:
        said, status = box.run("ipsec verify", PATIENCE)
        assert status == 1
        failed = {what for what, verdict in verdicts(said).items() if verdict == "FAILED"}
        assert failed >= {
            "Secrets /etc/ipsec.secrets", "IPv4 forwarding, for the subnets", "rp_filter leaves the peers' packets alone",
            "Firewall lets IKE, ESP and AH pass, IPv4", "Firewall lets the tunnels' traffic through, IPv4",
        }, said  # fmt: skip
        assert "chmod 600 /etc/ipsec.secrets" in said
        # When everything that it names as a command is done,
        commands = re.findall(r"remedy: ((?:iptables|sysctl) .*)$", said, re.MULTILINE)
        box.all_of("chmod 600 /etc/ipsec.secrets", *dict.fromkeys(commands))
        # then nothing has failed any more, and the tunnel carries through the firewall.
        said = box.text("ipsec verify", PATIENCE)
        assert "FAILED" not in verdicts(said).values(), said
        assert tunnel.a.ping(tunnel.b.host, 2) == 2
    finally:
        box.all_of(
            "iptables-restore -c </tmp/rules",
            "echo 1 >/proc/sys/net/ipv4/ip_forward",
            *(f"echo 2 >/proc/sys/net/ipv4/conf/{name}/rp_filter" for name in ("all", "eth0")),
            "chmod 600 /etc/ipsec.secrets",
            "mv /root/kept.conf /etc/ipsec.conf",
            "rm /etc/more.conf",
        )


def test_ikeping_sees_the_other_box(tunnel: Offices) -> None:
    """`ipsec ikeping` hears the other box, beside the daemon and through the tunnel's policies; nobody is nobody"""
    box, before = tunnel.a.box, {sa.spi for sa in read_sas(tunnel.a.box)}
    said = box.text(f"ipsec ikeping {tunnel.b.wan}", PATIENCE)
    assert re.search(r"^192\.0\.2\.2/500: accepts aes_\d+-sha2_256-group14 by preshared secret$", said, re.MULTILINE), (
        said
    )
    said, status = box.run(f"ipsec ikeping --wait 1 {tunnel.b.wan}/501 192.0.2.99", PATIENCE)
    assert status == 1
    assert "192.0.2.2/501: no answer" in said
    assert "192.0.2.99/500: no answer" in said
    assert {sa.spi for sa in read_sas(box)} == before


def test_policy_says_by_which_sa_a_packet_goes(tunnel: Offices) -> None:
    """`ipsec policy` names the SAs that a packet and its answer go by, and that in clear it would be dropped"""
    lines = tunnel.a.box.text(f"ipsec policy {tunnel.a.host} {tunnel.b.host}", PATIENCE).splitlines()
    spis = {sa.destination: sa.spi for sa in read_sas(tunnel.a.box)}
    assert f"goes by ipsec0: 10.1.0.0/24 -> 10.2.0.0/24 => esp0x{spis['192.0.2.2']:x}@192.0.2.2" in lines[0]
    assert f"comes by ipsec0: 10.2.0.0/24 -> 10.1.0.0/24 => esp0x{spis['192.0.2.1']:x}@192.0.2.1" in lines[1]
    assert lines[2].endswith("comes in clear: 10.2.0.0/24 -> 10.1.0.0/24 => %drop")


def secret_words(box: Box, key: RsaKey) -> None:
    """Everything that must not show, a line each, in a file on the box: of the files, and the SAs' keys in the kernel."""
    numbers = [
        number[2:]
        for name, number in re.findall(r"(\w+): (0x\w+)", key.secret)
        if name not in ("Modulus", "PublicExponent")
    ]
    assert len(numbers) == 6
    words = [PSK, PSK.encode().hex(), MANUAL_KEY[2:], *(number[at : at + 60] for number in numbers for at in (0, 60))]
    write(box, SECRET_WORDS, "\n".join(words) + "\n")
    box.text(f"ip xfrm state | grep -o '0x[0-9a-f]\\{{20,\\}}' | cut -c3- >>{SECRET_WORDS}; wc -l {SECRET_WORDS}")


def test_barf_is_whole_and_has_no_secret(tunnel: Offices, key: RsaKey) -> None:
    """`ipsec barf`, beside a daemon and beside a dead one: every section, under 1 MB, not one secret or key in it"""
    alive, dead = tunnel.a.box, tunnel.b.box
    for box in (alive, dead):
        secret_words(box, key)
    dead.text("sv once /run/service/ipsec && kill -9 $(cat /run/pluto/pluto.pid)")
    for box in (alive, dead):
        box.text(f"rm -f {BARF}.done; ( {{ ipsec barf >{BARF} 2>&1; echo $? >{BARF}.done; }} & )")
    for box in (alive, dead):
        box.wait_for(f"cat {BARF}.done", lambda text: text == "0", 2 * PATIENCE)
        assert int(box.text(f"wc -c <{BARF}")) < 1_000_000
        assert box.run(f"grep -i -F -f {SECRET_WORDS} {BARF}") == ("", 1)
        # The net would say if it had caught anything: what is shown is made so that nothing gets that far.
        assert box.run(f"grep -c -F 'a line with a secret' {BARF}")[0] == "0"
        titles = box.text(f"grep -A 2 '^+ ____' {BARF} | grep -v '^--'").splitlines()
        sections = {line.split()[2]: after for line, after in zip(titles, titles[2:], strict=False) if "____" in line}
        assert len(sections) > 40
        assert [title for title in FULL.split() if sections[title].startswith("+ ____")] == []
    assert "Pluto runs" in alive.text(f"head -n 3 {BARF}")
    assert "Pluto does not run" in dead.text(f"head -n 3 {BARF}")
    # What the kernel goes on doing without its daemon is there.
    assert len(read_sas(dead)) == 2
    for sa in read_sas(dead):
        assert dead.text(f"grep -c esp0x{sa.spi:x}@ {BARF}") != "0"
    start(tunnel.b)
