"""FreeS/WAN's views of the kernel, `ipsec eroute`, `spi`, `spigrp`, `tncfg`, `klipsdebug`, and what they set by hand."""

from __future__ import annotations

import struct
from dataclasses import replace
from io import StringIO
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cygnet.cli import by_hand, kernel_view, main, service, tncfg
from cygnet.connection.connection import Type
from cygnet.connection.local import Local
from cygnet.connection.selector import Selector, host_selector
from cygnet.kernel import encode, links, ours, structs, xfrm
from cygnet.kernel.dump import GETPOLICY, GETSA
from cygnet.kernel.fake import FakeKernel
from cygnet.kernel.netlink import attribute
from cygnet.kernel.policy import Action, Direction, Policy, Template
from cygnet.kernel.sa import Algorithm, Sa, SaKey
from cygnet.tunnel.policies import protect_outbound, shunt
from cygnet.tunnel.route import Span

WEST, EAST = ip_address("192.0.2.1"), ip_address("192.0.2.2")
WEST6, EAST6 = ip_address("2001:db8::1"), ip_address("2001:db8::2")
LAN, FAR = Selector(ip_network("10.1.0.0/24")), Selector(ip_network("10.2.0.0/24"))
DES, MD5 = Algorithm("cbc(des3_ede)", b"k" * 24), Algorithm("hmac(md5)", b"i" * 16, 96)
GCM = Algorithm("rfc4106(gcm(aes))", b"g" * 20, 128)
ESP = Sa(WEST, SaKey(EAST, "esp", 0x202), ours.MANUAL_REQIDS.start + 0x200, "tunnel", True, DES, MD5)
AH = replace(ESP, key=SaKey(EAST, "ah", 0x204), mode="transport", encryption=None)
ESP6 = Sa(EAST6, SaKey(WEST6, "esp", 0x1001), 0x4001, "transport", False, aead=GCM, replay_window=64)
KEYS = ("0x" + "a1b2c3d4" * 4, "0x" + "e5f60718" * 8)


def changed(body: bytes, at: int, packed: bytes) -> bytes:
    return body[:at] + packed + body[at + len(packed) :]


def used(sa: Sa, added: int = 0, packets: int = 0, used_at: int = 0) -> bytes:
    """As the kernel dumps it after ``packets``, of which it refused one as a replay and two as forged."""
    body = changed(encode.sa(sa), structs.SA_CURRENT_AT, structs.CURRENT.pack(100 * packets, packets, added, added))
    if packets:
        body = changed(body, structs.SA_STATS_AT, structs.STATS.pack(1, 0, 2))
        body += attribute(encode.ATTR_REPLAY, structs.REPLAY.pack(0, packets, (1 << packets) - 1))
    return body + attribute(15, struct.pack("=Q", used_at))


def larval(source: str, destination: str, reqid: int = 0x4000) -> bytes:
    """What the kernel has for a packet that waits for its SA."""
    body = encode.sa(replace(ESP, key=SaKey(EAST, "esp", 0x202), reqid=reqid))
    ends = (Selector(ip_network(source)), Selector(ip_network(destination)))
    body = changed(body, 0, encode.selector(*ends))
    return changed(body, structs.SELECTOR.size + 16, bytes(4))


def tunnel(theirs: Selector = FAR, reqid: int = ESP.reqid, protocols: tuple[str, ...] = ("esp",)) -> Policy:
    templates = [Template("esp", "tunnel", reqid, WEST, EAST), Template("ah", "transport", reqid)][: len(protocols)]
    return Policy(Direction.OUT, LAN, theirs, ours.MANUAL.priorities[0], templates=tuple(templates), if_id=1)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kernel_view, "read_local", lambda: Local({"eth0": (WEST, WEST6)}))
    monkeypatch.setattr(kernel_view.time, "time", lambda: 1_000_100)
    monkeypatch.setattr(service, "BY_HAND", tmp_path / "run/by-hand")


def show(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    sas: list[bytes],
    policies: list[Policy],
) -> list[str]:
    bodies = [encode.policy(policy) for policy in policies]
    monkeypatch.setattr(kernel_view, "dump", lambda kind: sas if kind == GETSA else bodies)
    assert main([command]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("here")
def test_spi_lists_each_sa_as_freeswan_did(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    limited = replace(ESP, soft_seconds=3000, hard_seconds=3600)
    inbound = replace(ESP, source=EAST, key=SaKey(WEST, "esp", 0x203), outbound=False, replay_window=32)
    sas = [used(limited), used(inbound, 1_000_000, 3, 1_000_077), used(AH), used(ESP6), b"cut short"]
    lines = show(monkeypatch, capsys, "spi", [*sas, larval("10.1.0.5/32", "10.2.0.7/32")], [])
    assert lines == [
        "ah0x204@192.0.2.2 AH_HMAC_MD5: dir=out src=192.0.2.1 mode=transport alen=96 aklen=128 life(c,s,h)=",
        "esp0x202@192.0.2.2 ESP_3DES_HMAC_MD5: dir=out src=192.0.2.1 mode=tunnel alen=96 aklen=128 eklen=192"
        " life(c,s,h)=addtime(0,3000,3600)",
        "esp0x203@192.0.2.1 ESP_3DES_HMAC_MD5: dir=in src=192.0.2.2 mode=tunnel ooowin=32 ooo_errs=1 seq=3"
        " bit=0x00000007 alen=96 aklen=128 auth_errs=2 eklen=192"
        " life(c,s,h)=bytes(300,0,0)packets(3,0,0)addtime(100,0,0)usetime(100,0,0) idle=23",
        "esp:1001@2001:db8::1 ESP_AES_GCM: dir=in src=2001:db8::2 mode=transport ooowin=64 alen=128 eklen=160"
        " life(c,s,h)=",
    ]


@pytest.mark.usefixtures("here")
def test_eroute_says_what_becomes_of_which_traffic(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given tunnels of either owner, a trap, each kind of shunt, a packet that waits, and a policy of somebody else's,
    nets = [Selector(ip_network(f"10.{n}.0.0/24")) for n in range(10)]
    shunts = [
        shunt(Span(LAN, nets[4 + n], WEST, EAST, kind.value, ()), kind, 0, 0)[0] if kind is not Type.PASSTHROUGH else
        Policy(Direction.OUT, LAN, nets[4 + n], ours.PRIORITIES[2])
        for n, kind in enumerate((Type.PASSTHROUGH, Type.DROP, Type.REJECT))
    ]  # fmt: skip
    mail = replace(
        tunnel(reqid=0x4002),
        source=Selector(LAN.network, 6),
        destination=Selector(ip_network("10.7.0.9/32"), 6, 25),
        priority=ours.PRIORITIES[0],
    )
    foreign = replace(shunts[0], destination=nets[9], priority=5)
    daemons = replace(ESP, key=SaKey(EAST, "esp", 0x1002), reqid=0x4002)
    policies = [tunnel(), tunnel(nets[3], 0x4005), mail, *shunts, foreign, replace(tunnel(), direction=Direction.IN)]
    sas = [used(ESP, 1, 7), used(daemons, 1, 3), larval("10.1.0.5/32", "10.3.0.7/32")]
    # then each is listed as FreeS/WAN wrote it; the kernel counts no packets of shunts.
    lines = show(monkeypatch, capsys, "eroute", sas, policies)
    assert lines == [
        "7          10.1.0.0/24:0      -> 10.2.0.0/24:0      => esp0x202@192.0.2.2:0 () ()",
        "           10.1.0.0/24:0      -> 10.3.0.0/24:0      => %trap () ()",
        "           10.1.0.0/24:0      -> 10.4.0.0/24:0      => %pass () ()",
        "           10.1.0.0/24:0      -> 10.5.0.0/24:0      => %drop () ()",
        "           10.1.0.0/24:0      -> 10.6.0.0/24:0      => %drop () ()",
        "3          10.1.0.0/24:0      -> 10.7.0.9/32:25     => esp0x1002@192.0.2.2:6 () ()",
        "           10.1.0.5/32:0      -> 10.3.0.7/32:0      => %hold () ()",
    ]


@pytest.mark.usefixtures("here")
def test_eroute_shows_strangers_pair_by_pair(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The trap for all, two hosts with a tunnel, a packet that waits, and what is passed or dropped for a while."""
    us, all_ = host_selector(WEST), Selector(ip_network("0.0.0.0/0"))
    hosts = [host_selector(ip_address(f"198.51.100.{number}")) for number in range(4)]
    trap = protect_outbound(Span(us, all_, WEST, ip_address("0.0.0.0"), "transport", ("esp",)), 0x4001, 0, 0, True, 2)
    pair = protect_outbound(Span(us, hosts[0], WEST, EAST, "tunnel", ("esp",)), 0x4002, 0, 0)
    fates = zip(hosts[1:], (Type.PASSTHROUGH, Type.DROP), strict=False)
    shunts = [one for host, kind in fates for one in shunt(Span(us, host, WEST, EAST, kind.value, ()), kind, 0, 0)]
    sas = [used(replace(ESP, key=SaKey(EAST, "esp", 0x1002), reqid=0x4002), 1, 3)]
    sas += [larval("192.0.2.1/32", "198.51.100.3/32", 0x4001)]
    lines = show(monkeypatch, capsys, "eroute", sas, [*trap, *pair, *shunts])
    assert lines == [
        "           192.0.2.1/32:0     -> 0.0.0.0/0:0        => %trap () ()",
        "3          192.0.2.1/32:0     -> 198.51.100.0/32:0  => esp0x1002@192.0.2.2:0 () ()",
        "           192.0.2.1/32:0     -> 198.51.100.1/32:0  => %pass () ()",
        "           192.0.2.1/32:0     -> 198.51.100.2/32:0  => %drop () ()",
        "           192.0.2.1/32:0     -> 198.51.100.3/32:0  => %hold () ()",
    ]


@pytest.mark.usefixtures("here")
def test_while_it_is_rekeyed_a_tunnel_has_its_newest_sa(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    new = replace(ESP, key=SaKey(EAST, "esp", 0x212))
    [line] = show(monkeypatch, capsys, "eroute", [used(new, 20, 2), used(ESP, 10, 5)], [tunnel()])
    assert line.split() == "2 10.1.0.0/24:0 -> 10.2.0.0/24:0 => esp0x212@192.0.2.2:0 () ()".split()


@pytest.mark.usefixtures("here")
def test_spigrp_puts_together_what_is_around_the_same_packets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two generations of a bundle while it is rekeyed, and somebody else's SA without a number."""
    old = [used(ESP, 10), used(AH, 10)]
    new = [used(replace(sa, key=replace(sa.key, spi=sa.key.spi + 0x10)), 20) for sa in (ESP, AH)]
    foreign = used(replace(ESP6, reqid=0), 5)
    lines = show(monkeypatch, capsys, "spigrp", [*new, *old, foreign], [])
    assert lines == [
        "esp:1001@2001:db8::1",
        "esp0x202@192.0.2.2 ah0x204@192.0.2.2",
        "esp0x212@192.0.2.2 ah0x214@192.0.2.2",
    ]


def test_tncfg_says_what_is_on_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, mtu in (("eth0", 1500), ("ipsec0", 1438), ("ipsec1", 1400)):
        (tmp_path / "net" / name).mkdir(parents=True)
        (tmp_path / "net" / name / "mtu").write_text(f"{mtu}\n")
    (tmp_path / "ipsec.conf").write_text('version 2\nconfig setup\n\tinterfaces="%defaultroute ipsec1=ppp0"\n')
    monkeypatch.setenv("IPSEC_CONFS", str(tmp_path))
    monkeypatch.setattr(links, "read_local", lambda: Local({}, "eth0"))
    monkeypatch.setattr(tncfg, "NETWORK", tmp_path / "net")
    assert main(["tncfg"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ipsec0 -> eth0 mtu=1438(1438) -> 1500",
        "ipsec1 -> NULL mtu=1400(1400) -> 0",
    ]


def test_klipsdebug_counts_and_explains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stat").write_text("XfrmInError \t0\nXfrmInStateProtoError \t3\nXfrmInSomethingNew \t1\n")
    monkeypatch.setattr(xfrm, "_STATISTICS", tmp_path / "stat")
    assert main(["klipsdebug"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split(maxsplit=1)[0] == "XfrmInStateProtoError=3"
    assert "keys or algorithms differ" in lines[0]
    assert lines[1].strip() == "XfrmInSomethingNew=1"


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, here: None) -> FakeKernel:
    """In the place of this host's; what it has is what the views see."""
    made = FakeKernel(owner=ours.MANUAL)
    monkeypatch.setattr(by_hand, "Xfrm", lambda _log, _owner: made)
    dumps = {GETSA: lambda: map(encode.sa, made.sas.values())}
    dumps[GETPOLICY] = lambda: map(encode.policy, made.policies.values())
    monkeypatch.setattr(kernel_view, "dump", lambda kind: list(dumps[kind]()))
    return made


def spi(monkeypatch: pytest.MonkeyPatch, words: str, typed: str = "\n".join(KEYS) + "\n") -> int:
    monkeypatch.setattr("sys.stdin", StringIO(typed))
    return main(["spi", *words.split()])


GOING = "--said esp0x200@192.0.2.2 --src 192.0.2.1 --esp aes-sha2_256 --ip4 --enckey - --authkey -"
COMING = "--af inet --edst 192.0.2.1 --spi 0x201 --proto esp --src 192.0.2.2 --esp aes-sha2_256 --ip4"


def test_a_tunnel_by_hand_in_freeswans_four_steps(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # When SAs and eroutes are added for both directions,
    assert spi(monkeypatch, GOING) == spi(monkeypatch, COMING) == 0
    assert main("eroute --add --src 10.1.0.0/24 --dst 10.2.0.0/24 --said esp.200@192.0.2.2".split()) == 0
    assert main("eroute --add --src 10.2.0.0/24 --dst 10.1.0.0/24 --said esp0x201@192.0.2.1".split()) == 0
    # then packets that go are encrypted, and those that come must have been;
    assert kernel.traffic("10.1.0.5/32", "10.2.0.7/32") == SaKey(EAST, "esp", 0x200)
    assert {policy.direction for policy in kernel.policies.values()} == set(Direction)
    assert service.BY_HAND.exists()
    assert main(["eroute"]) == 0
    assert capsys.readouterr().out.split()[1:] == "10.1.0.0/24:0 -> 10.2.0.0/24:0 => esp0x200@192.0.2.2:0 () ()".split()
    # what is there already is not added again, and replaced if asked;
    assert main("eroute --add --src 10.1.0.0/24 --dst 10.2.0.0/24 --said %drop".split()) == 1
    assert "--replace" in capsys.readouterr().err
    assert main("eroute --replace --eraf inet --src 10.1.0.0/24 --dst 10.2.0.0/24 --said %drop".split()) == 0
    assert kernel.traffic("10.1.0.5/32", "10.2.0.7/32") == "drop"
    # it is removed piece by piece, or all at once.
    assert main("eroute --del --src 10.1.0.0/24 --dst 10.2.0.0/24".split()) == 0
    assert kernel.traffic("10.1.0.5/32", "10.2.0.7/32") == "clear"
    assert spi(monkeypatch, "--said esp0x200@192.0.2.2 --del") == 0
    assert [key.spi for key in kernel.sas] == [0x201]
    assert spi(monkeypatch, "--clear") == main(["eroute", "--clear"]) == 0
    assert (kernel.sas, kernel.policies) == ({}, {})


@pytest.mark.parametrize(
    ("words", "action"),
    [
        ("--src 10.1.0.0/24 --dst 10.2.0.9/32 --transport-proto tcp --dst-port 25 --said %pass", Action.ALLOW),
        ("--src 2001:db8:1::/48 --dst 2001:db8:2::/48 --said %reject", Action.BLOCK),
        ("--src 10.1.0.0/255.255.255.0 --dst 0.0.0.0/0 --said %passthrough4", Action.ALLOW),
    ],
)
def test_a_shunt_by_hand(kernel: FakeKernel, words: str, action: Action) -> None:
    assert main(["eroute", "--add", *words.split()]) == 0
    [going] = [policy for policy in kernel.policies.values() if policy.direction is Direction.OUT]
    assert going.action is action
    assert main(["eroute", "--del", *words.split()[:-2]]) == 0
    assert kernel.policies == {}


# Words of `ipsec spi` or `eroute`, what is typed, the sentence.
REFUSED = [
    (f"spi {GOING.replace('--enckey -', '--enckey ' + KEYS[0])}", "", "--enckey - reads the key from standard input"),
    (f"spi {GOING}", KEYS[0] + "\n" + KEYS[0] + "\n", "--authkey: it has 128 bits, and sha2_256 takes 256"),
    (f"spi {GOING}", "", "--enckey: it must begin with 0x"),
    (f"spi {GOING.replace('aes-', 'aes_gcm-')}", "", "--esp: keys set by hand break this cipher"),
    (f"spi {GOING.replace('aes-sha2_256', 'rot13')}", "", "'rot13' is no cipher"),
    (f"spi {GOING.replace('--src 192.0.2.1', '--src west')}", "", "--src: 'west' does not appear to be"),
    (f"spi {GOING} --replay_window 65", "\n".join(KEYS), "--replay_window is a number from 0 to 64"),
    ("spi --said tun.200@192.0.2.2 --ip4", "", "there is no tun.200@192.0.2.2: tunnel mode is of the ESP or AH SA itself"),
    ("spi --said esp.ff@192.0.2.2 --del", "", "name the SA by --said"),
    ("spi --said esp.200@192.0.2.2 --del", "", "no esp0x200@192.0.2.2 was set by hand"),
    ("spi --said esp.90000000@192.0.2.2 --src 192.0.2.1 --esp aes-md5", "", "an SPI up to 0x7fffffff"),
    ("spi --said esp.200@192.0.2.2 --src 192.0.2.1 --ah md5", "", "esp0x200@192.0.2.2 takes --esp ALGORITHM"),
    ("spi --edst 192.0.2.2 --spi 512", "", "name the SA by --said"),
    (f"spi {GOING.replace('--enckey -', '--enckey /nonexistent/key')}", "", "there is no such file"),
    ("eroute --add --src 10.1.0.0/24 --dst 10.2.0.0/24 --said %trap", "", "%trap is the daemon's"),
    ("eroute --add --src 10.1.0.0/24 --dst 10.2.0.0/24 --said esp.200@192.0.2.2", "", "there is no esp0x200@192.0.2.2"),
    ("eroute --add --src 10.1.0.0/33 --dst 10.2.0.0/24 --said %drop", "", "--src: '10.1.0.0/33'"),
    ("eroute --add --src 10.1.0.0/24 --dst 10.2.0.0/24 --dst-port 25 --said %drop", "", "a port needs a protocol"),
    ("eroute --add --del --src 10.1.0.0/24 --dst 10.2.0.0/24", "", "usage: ipsec eroute"),
    ("eroute --src 10.1.0.0/24", "", "usage: ipsec eroute"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "typed", "sentence"), REFUSED)
def test_what_cannot_be_set_by_hand_is_one_sentence_without_a_key(
    kernel: FakeKernel,
    words: str,
    typed: str,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(typed))
    assert main(words.split()) in (1, 2)
    said = capsys.readouterr().err
    assert sentence in said
    assert "a1b2c3d4" not in said
    assert (kernel.sas, kernel.policies) == ({}, {})


def test_the_daemons_sas_and_policies_are_not_removed_by_hand(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel.owner = ours.DAEMON
    kernel.add_sa(replace(ESP, reqid=0x4000))
    kernel.put_policy(replace(tunnel(reqid=0x4000), priority=ours.PRIORITIES[0], if_id=0))
    kernel.owner = ours.MANUAL
    assert spi(monkeypatch, "--said esp0x202@192.0.2.2 --del") == 1
    assert "ipsec auto --down" in capsys.readouterr().err
    assert spi(monkeypatch, "--clear") == main(["eroute", "--clear"]) == 0
    assert main("eroute --del --src 10.1.0.0/24 --dst 10.2.0.0/24".split()) == 0
    assert main("eroute --replace --src 10.1.0.0/24 --dst 10.2.0.0/24 --said %pass".split()) == 1
    assert main("eroute --add --src 10.1.0.0/24 --dst 10.5.0.0/24 --said esp0x202@192.0.2.2".split()) == 1
    assert (len(kernel.sas), len(kernel.policies)) == (1, 1)


def test_a_key_from_a_file_that_others_may_read_is_refused_and_weak_ones_are_said(
    kernel: FakeKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "key"
    key.write_text(f"0x{'12345678' * 6}\n")
    words = f"--said esp0x200@192.0.2.2 --src 192.0.2.1 --esp 3des-md5-96 --enckey {key} --authkey -"
    key.chmod(0o644)
    assert spi(monkeypatch, words, KEYS[0]) == 1
    assert f"chmod 600 {key}" in capsys.readouterr().err
    key.chmod(0o600)
    assert spi(monkeypatch, words, KEYS[0]) == 0
    assert "WARNING: esp0x200@192.0.2.2 is weak: 3des_192-md5" in capsys.readouterr().err
    assert [sa.mode for sa in kernel.sas.values()] == ["transport"]
