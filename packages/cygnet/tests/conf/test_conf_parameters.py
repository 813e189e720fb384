"""The golden table of ipsec.conf(5): what each parameter is when it is not given, and what giving it does.

A row: the line that is given, the field that it sets (of the connection, of ``here.`` or ``there.``, or of the setup),
the field's value without the line, its value with it.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from conf_box import BOX
from cygnet.conf import load
from cygnet.conf.parameters import ALIASES, CONN, SETUP
from cygnet.connection.connection import AuthBy, Auto, DpdAction, Shunt, Type
from cygnet.connection.identity import Identity, IdType
from cygnet.connection.proposal import ChildProposal, IkeProposal

# 1024 bits: an odd number that is no key, but is as long as one. With its exponent 3, as RFC 3110 has it.
KEY = bytes([1, 3]) + bytes([0xC5]) + bytes(range(1, 127)) + b"\x01"
WEST = "version 2\n{setup}conn west\n\tleft=10.0.0.1\n\tright=10.12.12.1\n{conn}"

CONN_ROWS = [
    ("type=transport", "type", Type.TUNNEL, Type.TRANSPORT),
    ("type=passthrough", "type", Type.TUNNEL, Type.PASSTHROUGH),
    ("type=drop", "type", Type.TUNNEL, Type.DROP),
    ("type=reject", "type", Type.TUNNEL, Type.REJECT),
    ("auto=add", "auto", Auto.IGNORE, Auto.ADD),
    ("auto=route", "auto", Auto.IGNORE, Auto.ROUTE),
    ("auto=start", "auto", Auto.IGNORE, Auto.START),
    ("auto=manual", "auto", Auto.IGNORE, Auto.MANUAL),
    ("authby=secret", "auth_by", AuthBy.RSASIG, AuthBy.SECRET),
    ("authby=secret|rsasig", "auth_by", AuthBy.RSASIG, AuthBy.EITHER),
    ("ike=aes128-sha1-modp2048", "ike", None, (IkeProposal("aes", 128, "sha1", 14),)),
    ("ike=aes128-sha1-modp1024\n\tesp=3des-sha1-md5", "weak", (), ("sha1", "modp1024", "3des", "md5")),
    ("esp=3des-md5-96", "child", None, (ChildProposal("3des", 192, "md5"),)),
    ("phase2alg=aes_gcm_c-256-null", "child", None, (ChildProposal("aes_gcm", 256, ""),)),
    ("esp=aes256-sha2_256;modp3072", "pfs_groups", (), (15,)),
    ("phase2=ah", "child", None, (ChildProposal("", 0, "sha2_256"), ChildProposal("", 0, "sha2_512"))),
    ("phase2=ah\n\tah=sha1", "child", None, (ChildProposal("", 0, "sha1"),)),
    ("auth=ah\n\tesp=sha2_512", "child", None, (ChildProposal("", 0, "sha2_512"),)),
    ("auth=ah\n\tphase2=ah\n\tah=sha1", "child", None, (ChildProposal("", 0, "sha1"),)),
    ("auth=esp\n\tesp=3des-md5\n\tah=sha1", "child", None, (ChildProposal("3des", 192, "md5"),)),
    ("auth=ah\n\tesp=3des-md5-96", "child", None, (ChildProposal("3des", 192, "md5", ah="md5"),)),
    ("auth=ah\n\tesp=aes_gcm", "child", None, (ChildProposal("aes_gcm", 128, "", ah="sha2_256"),)),
    (
        "auth=ah\n\tesp=aes,3des-sha1\n\tah=sha2_512,hmac-md5-96",
        "child",
        None,
        (
            ChildProposal("aes", 128, "sha2_256", ah="sha2_512"),
            ChildProposal("3des", 192, "sha1", ah="sha2_512"),
            ChildProposal("aes", 128, "sha2_256", ah="md5"),
            ChildProposal("3des", 192, "sha1", ah="md5"),
        ),
    ),
    ("auth=ah\n\tesp=aes\n\tah=md5", "weak", (), ("md5",)),
    ("pfs=no", "pfs", True, False),
    ("pfsgroup=modp1536", "pfs_groups", (), (5,)),
    ("pfsgroup=modp1536", "weak", (), ("modp1536",)),
    ("keylife=30m", "key_life", 28800, 1800),
    ("lifetime=30m", "key_life", 28800, 1800),
    ("salifetime=24h", "key_life", 28800, 86400),
    ("ikelifetime=8h", "ike_lifetime", 3600, 28800),
    ("rekey=no", "rekey", True, False),
    ("rekeymargin=3m", "rekey_margin", 540, 180),
    ("rekeystart=3m", "rekey_margin", 540, 180),
    ("rekeyfuzz=0%", "rekey_fuzz", 1.0, 0.0),
    ("keyingtries=5", "keying_tries", 0, 5),
    ("rekeytries=5", "keying_tries", 0, 5),
    ("dnssec=yes", "dnssec", False, True),
    ("compress=yes", "compress", False, True),
    ("failureshunt=drop", "failure_shunt", Shunt.NONE, Shunt.DROP),
    ("dpdaction=restart", "dpd_action", DpdAction.HOLD, DpdAction.RESTART),
    ("dpdaction=clear", "dpd_delay", 0, 30),
    ("dpdaction=none\n\tdpddelay=9", "dpd_delay", 0, 0),
    ("dpddelay=10", "dpd_delay", 0, 10),
    ("dpdtimeout=1m", "dpd_timeout", 120, 60),
    ("forceencaps=yes", "force_encaps", False, True),
    ("fragmentation=no", "fragmentation", True, False),
    ("ike_frag=no", "fragmentation", True, False),
    ("replay_window=64", "replay_window", 32, 64),
    ("replay-window=64", "replay_window", 32, 64),
    ("mtu=1400", "mtu", 0, 1400),
    ("metric=7", "metric", 0, 7),
    ("mark=0x10", "mark", 0, 16),
    ("leftsubnet=10.1/16", "here.subnet", None, ip_network("10.1.0.0/16")),
    ("rightsubnetwithin=10.2.0.0/16", "there.subnet_within", None, ip_network("10.2.0.0/16")),
    ("leftnexthop=10.0.0.9", "here.nexthop", None, ip_address("10.0.0.9")),
    ("leftnexthop=%defaultroute", "here.nexthop", None, ip_address("10.0.0.254")),
    ('leftupdown="/bin/up a"', "here.updown", "", "/bin/up a"),
    ("leftfirewall=yes", "here.firewall", False, True),
    ("leftid=@west", "here.id", None, Identity(IdType.FQDN, b"west")),
    ("leftid=%myid", "here.id", None, None),
    (f"rightrsasigkey=0x{KEY.hex()}", "there.public_keys", (), (KEY,)),
    (f"rightrsasigkey=0x{KEY.hex()}", "there.keys_from_dns", True, False),
    (f"rightrsasigkey=%cert\n\trightrsasigkey2=0x{KEY.hex()}", "there.public_keys", (), (KEY,)),
    ("rightrsasigkey=%none", "there.keys_from_dns", True, False),
    ("rightprotoport=udp/l2tp", "there.protocol", 0, 17),
    ("rightprotoport=udp/l2tp", "there.port", 0, 1701),
    ("leftsourceip=192.168.0.1", "here.source_ip", None, ip_address("192.168.0.1")),
    ("leftcert=/etc/west.pem", "here.cert", None, Path("/etc/west.pem")),
    ("leftsendcert=never", "here.send_cert", "ifasked", "never"),
    ('rightca="C=CH, O=Cygnet"', "there.ca", "", "C=CH, O=Cygnet"),
    ('rightca="C=CH, O=Cygnet"\n\tleftca=%same', "here.ca", "", "C=CH, O=Cygnet"),
    ("connaddrfamily=ipv4", "here.name", "", ""),
]
SETUP_ROWS = [
    (
        'interfaces="ipsec0=eth1 ipsec1=ppp0"',
        "interfaces",
        (("ipsec0", "%defaultroute"),),
        (("ipsec0", "eth1"), ("ipsec1", "ppp0")),
    ),
    (
        'interfaces="%defaultroute ipsec1=eth1"',
        "interfaces",
        (("ipsec0", "%defaultroute"),),
        (("ipsec0", "%defaultroute"), ("ipsec1", "eth1")),
    ),
    ("interfaces=%none", "interfaces", (("ipsec0", "%defaultroute"),), ()),
    ("uniqueids=no", "unique_ids", True, False),
    ("nat_traversal=no", "nat_traversal", True, False),
    ("keep_alive=60", "keep_alive", 20, 60),
    ("forwardcontrol=yes", "forward_control", False, True),
    ("rp_filter=%unchanged", "rp_filter", 0, None),
    ("rp_filter=2", "rp_filter", 0, 2),
    ("overridemtu=1400", "override_mtu", 0, 1400),
    ("hidetos=no", "hide_tos", True, False),
    ("syslog=local0.info", "syslog", "daemon.error", "local0.info"),
    ('plutodebug="raw control"', "debug", ("none",), ("raw", "control")),
    ("pluto=no", "pluto", True, False),
    ("plutowait=yes", "pluto_wait", False, True),
    ('prepluto="/bin/decrypt x"', "prepluto", "", "/bin/decrypt x"),
    ("postpluto=/bin/shred", "postpluto", "", "/bin/shred"),
    ('manualstart="a b"', "manual_start", (), ("a", "b")),
    ("strictcrlpolicy=yes", "strict_crl", False, True),
    ("crlcheckinterval=600", "crl_check_interval", 0, 600),
    ("nocrsend=yes", "no_cr_send", False, True),
    ("ikeport=5000", "port", 500, 5000),
]
# What is taken and changes nothing, with what it would have to be refused for, where there is such a value.
QUIET = {
    "keyexchange": ("ike", "ikev2"),
    "ikev2": ("no", "insist"),
    "aggrmode": ("no", "yes"),
    "overlapip": ("no", "yes"),
    "sha2_truncbug": ("no", "yes"),
    "leftxauthserver": ("no", "yes"),
    "leftxauthclient": ("no", "yes"),
    "leftmodecfgserver": ("no", "yes"),
    "leftmodecfgclient": ("no", "yes"),
    "disable_port_floating": ("no", "yes"),
}
ELSEWHERE = {"left", "right", "myid", "plutoload", "plutostart"}


def get(found, path):
    """A field by its dotted name."""
    for name in path.split("."):
        found = getattr(found, name)
    return found


@pytest.mark.parametrize(("line", "field", "default", "effect"), CONN_ROWS, ids=[row[0][:50] for row in CONN_ROWS])
def test_a_parameter_of_a_conn(read, line, field, default, effect):
    before = read(WEST.format(setup="", conn="")).connections["west"]
    found = read(WEST.format(setup="", conn=f"\t{line}\n"))
    assert not found.problems
    assert default is None or get(before, field) == default
    assert get(found.connections["west"], field) == effect


@pytest.mark.parametrize(("line", "field", "default", "effect"), SETUP_ROWS, ids=[row[0] for row in SETUP_ROWS])
def test_a_parameter_of_config_setup(read, line, field, default, effect):
    assert getattr(read("version 2\n").setup, field) == default
    found = read(f"version 2\nconfig setup\n\t{line}\n")
    assert not found.problems
    assert getattr(found.setup, field) == effect


@pytest.mark.parametrize("name", [name for name in QUIET if name in CONN])
def test_what_cannot_be_had_is_refused_with_the_reason_and_its_usual_value_is_taken(read, problem, name):
    usual, wrong = QUIET[name]
    assert "west" in read(WEST.format(setup="", conn=f"\t{name}={usual}\n")).connections
    sentence = problem(f"left=10.0.0.1\nright=10.12.12.1\n{name}={wrong}")
    assert sentence.startswith(f"5: {name}={wrong}: ")


@pytest.mark.parametrize("table", [CONN, SETUP], ids=["conn", "setup"])
def test_what_means_nothing_on_xfrm_is_taken_and_its_place_kept_for_verify(read, table):
    rows = {name: row for name, row in table.items() if row.reason}
    lines = "".join(f'\t{name}="{row.default or "anything"}"\n' for name, row in rows.items())
    setup, conn = ("", lines) if table is CONN else (f"config setup\n{lines}", "")
    found = read(WEST.format(setup=setup, conn=conn))
    assert not found.problems
    assert set(found.setup.ignored) == set(rows)
    assert all(".conf:" in where for where in found.setup.ignored.values())


def test_manual_keying_is_kept_as_written_and_shows_nowhere(read):
    lines = "\tauto=manual\n\tspi=0x200\n\tesp=3des-md5-96\n\tespenckey=0xabcdef\n\tleftespauthkey=0x123456\n"
    found = read(WEST.format(setup="", conn=lines))
    assert {name: setting.value for name, setting in found.manual["west"].items()} == {
        "spi": "0x200",
        "esp": "3des-md5-96",
        "espenckey": "0xabcdef",
        "leftespauthkey": "0x123456",
    }
    assert found.connections["west"].auto is Auto.MANUAL
    assert found.manual["west"]["espenckey"].where.endswith("ipsec.conf:8")
    assert "abcdef" not in repr(found)


def test_what_is_keyed_by_hand_and_up_from_the_start(read):
    conns = "".join(f"conn {name}\n\tleft=10.0.0.1\n\tright=10.12.12.{n}\n" for n, name in enumerate("abc", 1))
    found = read(f'config setup\n\tmanualstart="b nobody"\n{conns}\tauto=manual\n')
    assert found.starts_manual == ["b", "nobody", "c"]


def test_a_union_is_one_conn_of_several_that_may_not_contradict_each_other(read, tmp_path):
    ends, keys, more = "\tleft=10.0.0.1\n\tright=10.12.12.1\n", "\tspi=0x200\n", "\tspi=0x300\n"
    read(f"version 2\nconn ends\n{ends}conn keys\n{keys}conn more\n{more}")
    found = load(tmp_path / "ipsec.conf", BOX, union=("ends", "keys"))
    assert found.manual["ends keys"]["spi"].value == "0x200"
    assert not found.problems
    found = load(tmp_path / "ipsec.conf", BOX, union=("ends", "keys", "more"))
    assert "spi has another value" in found.problems[0]


def test_every_parameter_of_the_table_is_shown_here():
    shown = {line.partition("=")[0] for row in CONN_ROWS + SETUP_ROWS for line in row[0].split("\n\t")}
    shown |= set(QUIET) | ELSEWHERE
    shown |= {name.replace("right", "left", 1) for name in shown}
    for name, row in {**CONN, **SETUP}.items():
        assert row.reason or row.manual or name.replace("right", "left", 1) in shown, name
    assert set(ALIASES) - {"aggressive"} <= shown


@pytest.mark.parametrize("table", [CONN, SETUP], ids=["conn", "setup"])
def test_the_default_that_the_table_names_is_the_one_that_holds(read, table):
    given = {name: row.default for name, row in table.items() if row.default and row.sets and "nexthop" not in name}
    lines = "".join(f'\t{name}="{value}"\n' for name, value in given.items() if name != "dpdaction")
    setup, conn = ("", lines) if table is CONN else (f"config setup\n{lines}", "")
    plain, full = read(WEST.format(setup="", conn="")), read(WEST.format(setup=setup, conn=conn))
    assert not full.problems
    assert plain.setup == full.setup
    where = plain.connections["west"].where
    assert full.connections["west"].__dict__ | {"where": where} == plain.connections["west"].__dict__


def test_a_name_that_plutoload_or_plutostart_of_1_9x_lists_is_loaded_or_started(read):
    conns = "".join(f"conn {name}\n\tleft=10.0.0.1\n\tright=10.12.12.{n}\n" for n, name in enumerate("abc", 1))
    found = read(f'config setup\n\tplutoload="a b"\n\tplutostart="b nobody"\n{conns}')
    assert [one.auto for one in found.connections.values()] == [Auto.ADD, Auto.START, Auto.IGNORE]
    [problem] = found.problems
    assert 'plutostart names conn "nobody", which there is not' in problem


def test_myid_is_the_identity_of_every_conn_that_says_so(read):
    found = read(WEST.format(setup="config setup\n\tmyid=@me.example\n", conn="\tleftid=%myid\n"))
    assert str(found.connections["west"].here.identity) == "@me.example"
