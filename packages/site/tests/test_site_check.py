"""What is asked of those who will read a site's files, and told by the file and line that a person wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Wrong = Callable[[str], list[str]]
Secret = Callable[..., Path]
STOCK = '[wan]\ninterface = "eth0"\n[[lan]]\ninterface = "eth1"\naddress = "192.168.77.1/24"\n'
POLICY = "zone wan $WAN\nzone lan $LAN $LAN_ADDRESS\nallow lan box ssh\n"
TUNNEL = "left=%defaultroute\nright=gate.example.org\nauthby=secret\nauto=add\n"

# What stands from line 8 on, and what is said.
FIREWALL = [
    ('[firewall]\npolicy = """\nzone wan $WAN\nalow wan box ssh\n"""', "11: alow is no statement; did you mean allow?"),
    ('[firewall]\npolicy = """zone wan $WAN\nalow wan box ssh"""', "10: alow is no statement"),
    ("[firewall]\npolicy = '''\n\nzone wan $WAN\nzone wan eth5\nallow wan box ssh'''", "12: zone wan is defined already"),
    ('[firewall]\npolicy = "zone wan $WAN\\nzone b"', "9: zone b has no interface"),
    (f'[firewall]\npolicy = """\n{POLICY}deny lan box ssh\n"""', "13 (deny lan box ssh): nothing reaches it, as it clash"),
    ('[firewall]\npolicy = """\nzone wan $WAN\n"""', "8: it locks any zone out: the box is not reached by SSH"),
    ('[firewall]\npolicy = """\nzone wan $WAN\niptables -A INPUT -p tcp --dprt 1 -j ACCEPT\n"""', "11: iptables-restore failed: "),
    ('[firewall]\nextra = "zone lan eth9"', "9: zone lan is defined already, at the stock policy:5"),
    ('[firewall]\nextra = "allow lan guest"', "9: there is no zone guest"),
    ('[[forward]]\nservice = "ping"\nto = "192.168.77.11"', "8: write which ports are forwarded, of tcp or udp"),
    ('[[forward]]\nservice = "tcp 1-2"\nto = "192.168.77.11:3"', "8: several ports cannot become one: leave out"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), FIREWALL, ids=[told for _, told in FIREWALL])
def test_the_firewall_speaks_of_lines_that_were_written(wrong: Wrong, text: str, told: str) -> None:
    found = wrong(STOCK + text)
    assert [line for line in found if line.startswith(f"shop1.toml:{told}")] == found[:1]
    assert "etc/cygnet" not in str(found)


def test_a_rule_that_iptables_does_not_take(wrong: Wrong) -> None:
    rule = "iptables -A INPUT -p tcp --dport 99999 -j ACCEPT"
    (found,) = wrong(f'{STOCK}[firewall]\npolicy = """\n{POLICY}{rule}\n"""')
    assert found.startswith("shop1.toml:13: iptables-restore failed: ")
    assert "99999" in found


def test_a_policy_in_a_file_of_its_own(wrong: Wrong, tmp_path: Path) -> None:
    (tmp_path / "policy").write_text(f"{POLICY}alow lan wan\n")
    assert wrong(f'{STOCK}[firewall]\nfile = "policy"') == ["policy:4: alow is no statement; did you mean allow?"]


def conn(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


IPSEC = [
    ('config = """\nversion 2\nconn a\n    lefft=%any\n"""', "12: there is no parameter lefft; did you mean left?"),
    (f'config = """\nconn a\n{conn(TUNNEL)}    keylife=8x\n"""', "15: keylife=8x: "),
    ('config = """\nconn a\n    auto=add\n"""', "10: it has no left="),
    ('config = """\nlost\n"""', "10: 'lost' begins no section"),
]


@pytest.mark.parametrize(("text", "told"), IPSEC, ids=[told for _, told in IPSEC])
def test_our_reader_of_ipsec_conf_speaks_of_lines_that_were_written(wrong: Wrong, text: str, told: str) -> None:
    found = wrong(f"{STOCK}[ipsec]\n{text}")
    assert [line for line in found if line.startswith(f"shop1.toml:{told}")] == found[:1]
    assert "/tmp" not in str(found)


def test_connections_that_are_right(wrong: Wrong, secret: Secret) -> None:
    secret("a.secrets", '%any gate.example.org : PSK "hunter2"\n')
    config = f'config = """\nversion 2\nconn a\n{conn(TUNNEL)}"""\nsecrets = [{{ file = "a.secrets" }}]'
    assert wrong(f"{STOCK}[ipsec]\n{config}") == []


def test_a_connection_in_a_file_of_its_own(wrong: Wrong, tmp_path: Path) -> None:
    (tmp_path / "hub.conf").write_text("# the hub\nconn hub\n    rihgt=%any\n")
    (found,) = wrong(f'{STOCK}[ipsec]\nfiles = ["hub.conf"]')
    assert found.startswith("hub.conf:3: there is no parameter rihgt")


def test_secrets_that_are_wrong_are_told_and_never_shown(wrong: Wrong, secret: Secret) -> None:
    secret("a.secrets", '192.0.2.1 : PSK "fine"\n')
    secret("b.secrets", '# b\n192.0.2.2 : PKS "hunter2"\n')
    found = wrong(f'{STOCK}[ipsec]\nsecrets = [{{ file = "a.secrets" }}, {{ file = "b.secrets" }}]')
    assert [line.partition(": ")[0] for line in found] == ["b.secrets:2"]
    assert "hunter2" not in str(found)


def test_a_file_that_is_included_and_does_not_come_along(wrong: Wrong) -> None:
    (found,) = wrong(f'{STOCK}[ipsec]\nconfig = """\nversion 2\ninclude more.conf\n"""')
    assert found == "shop1.toml:11: etc/more.conf: there is no such file"
