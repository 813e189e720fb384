"""Lines that are each right and wrong together: what clashes, what nothing reaches, who is locked out."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from cygnet.cli.promises import table
from cygnet.firewall.check import check
from firewall_scene import EXAMPLE, STOCK, policy
from hypothesis import given, settings
from hypothesis import strategies as st

ZONES = "zone wan eth0\nzone lan eth1 192.168.77.0/24\nzone guest eth2\nzone vpn ipsec+\nallow lan box ssh\n"


def test_the_stock_policy_and_the_example_are_sound() -> None:
    assert check(policy(STOCK.read_text())) == ([], [])
    clashes, notes = check(policy(EXAMPLE))
    assert clashes == []
    assert notes == ["/f:27: rules of iptables go before all lines, and are not looked into"]


# What stands from line 6 on; the sentence; whether it is a clash or a note.
PAIRS = [
    (
        "allow guest wan tcp 80\ndeny guest wan tcp 80",
        "/f:7 (deny guest wan tcp 80)",
        "/f:6 (allow guest wan tcp 80)",
        True,
    ),
    ("allow lan wan\ndeny lan wan tcp 25", "/f:7 (deny lan wan tcp 25)", "/f:6 (allow lan wan)", True),
    ("deny any wan\nallow guest wan dns", "/f:7 (allow guest wan dns)", "/f:6 (deny any wan)", True),
    ("deny lan wan\nreject lan wan", "/f:7 (reject lan wan)", "/f:6 (deny lan wan)", True),
    ("allow lan wan\nallow lan wan tcp 80", "/f:7 (allow lan wan tcp 80)", "/f:6 (allow lan wan)", False),
    ("allow guest wan tcp 1-100\nallow guest wan tcp 50-60,99", "/f:7", "/f:6", False),
    ("allow guest wan to 10.0.0.0/8\ndeny guest wan to 10.7.0.0/16", "/f:7", "/f:6", True),
    (
        "forward wan tcp 443 to 192.168.77.7\nallow wan box https from 0.0.0.0/0",
        "/f:7 (allow wan box https",
        "/f:6 (forward",
        True,
    ),
    ("forward wan tcp 443 to 192.168.77.7\nforward wan tcp 443 to 192.168.77.8", "/f:7", "/f:6", True),
    ("forward wan tcp 443 to 192.168.77.7\nforward wan tcp 443 to 192.168.77.7", "/f:7", "/f:6", False),
    ("tunnel-only wan 10.0.0.0/8\nallow guest wan to 10.1.0.0/16", "/f:7", "/f:6 (tunnel-only wan 10.0.0.0/8)", True),
    ("tunnel-only wan 10.0.0.0/8\nallow wan guest from 10.1.0.0/16", "/f:7", "/f:6 (tunnel-only", True),
    ("allow guest wan from 192.168.77.0/25", "/f:6", "/f:2 (zone lan eth1 192.168.77.0/24)", True),
    ("allow lan wan from 10.0.0.0/8", "/f:6", "/f:2 (zone lan", True),
    ("allow guest wan from 10.0.0.0/8 to 2001:db8::/32", "/f:6", "it is about nothing", False),
]


@pytest.mark.parametrize(("text", "line", "by", "clash"), PAIRS)
def test_a_line_that_decides_nothing_is_named_with_the_one_that_does(
    text: str, line: str, by: str, clash: bool
) -> None:
    clashes, notes = check(policy(ZONES + text))
    (sentence,) = clashes if clash else notes
    assert (notes if clash else clashes) == []
    assert sentence.startswith(line)
    assert by in sentence.removeprefix(line)


def test_two_lines_together_can_leave_nothing() -> None:
    clashes, notes = check(policy(ZONES + "allow guest wan tcp\nallow guest wan udp\nallow guest wan tcp udp"))
    assert (clashes, len(notes)) == ([], 1)
    assert "/f:6 (allow guest wan tcp) and /f:7 (allow guest wan udp)" in notes[0]


SOUND = [
    "deny lan wan tcp 25\nallow lan wan",
    "allow lan wan tcp 80\nreject lan wan tcp",
    "deny guest wan to 10.7.0.0/16\nallow guest wan to 10.0.0.0/8",
    "tunnel-only wan 10.0.0.0/8 except 10.1.0.0/16\nallow guest wan to 10.1.0.0/16",
    "tunnel-only wan 10.0.0.0/8\nallow box wan dns to 10.1.0.0/16",
    "tunnel-only wan 10.0.0.0/8\nallow wan box ping from 10.1.0.0/16",
    "allow lan wan from 192.168.77.9",
    "forward wan tcp 443 to 192.168.77.7\nallow wan box https",
    "forward wan tcp 443 to 192.168.77.7 from 192.0.2.0/24\nallow wan box https",
]


@pytest.mark.parametrize("text", SOUND)
def test_exceptions_before_the_rule_are_how_it_is_done(text: str) -> None:
    assert check(policy(ZONES + text)) == ([], [])


HEAD = "zone wan eth0\nzone lan eth1\n"
LOCKED = [
    ("allow lan wan", "; write a line such as: allow lan box ssh, or console-only if that is meant"),
    ("deny any box\nallow lan box ssh", ", as /f:4 (allow lan box ssh) clashes with /f:3 (deny any box)"),
    ("deny lan box tcp 1-1000\nallow lan box", ", as /f:4 (allow lan box) clashes with /f:3 (deny lan box tcp 1-1000)"),
    (
        "forward lan tcp 22 to 10.0.0.1\nallow lan box ssh from 0.0.0.0/0",
        ", as /f:4 (allow lan box ssh from 0.0.0.0/0) clashes with /f:3 (forward",
    ),
]


@pytest.mark.parametrize(("text", "reason"), LOCKED)
def test_a_policy_that_nobody_could_change_again_is_refused(text: str, reason: str) -> None:
    clashes, _ = check(policy(HEAD + text))
    assert clashes[-1].startswith(f"/f: it locks any zone out: the box is not reached by SSH (tcp 22) any more{reason}")


def test_the_line_that_has_gone_is_named() -> None:
    before = policy(HEAD + "allow lan wan\nallow lan box ssh dns")._replace(source="/old")
    (clash,) = check(policy(HEAD + "allow lan box dns"), before).clashes
    assert clash.endswith("any more, as /f:4 (allow lan box ssh dns) of the policy in force has gone")


def test_whoever_is_at_the_box_now_may_stay_there() -> None:
    text = HEAD + "allow lan box tcp 2222 from 10.0.0.0/24"
    assert check(policy(text), client=ip_address("10.0.0.9"), port=2222).clashes == []
    (clash,) = check(policy(text), client=ip_address("10.0.1.9"), port=2222).clashes
    assert clash.startswith("/f: it locks you, at 10.0.1.9, out: the box is not reached by SSH (tcp 2222) any more")


@pytest.mark.parametrize("text", ["console-only", "iptables -A INPUT -s 10.0.0.7 -p tcp --dport 22 -j ACCEPT"])
def test_who_means_it_says_so(text: str) -> None:
    assert check(policy(HEAD + text)).clashes == []


def test_tunnels_that_end_nowhere_are_noticed() -> None:
    text = "zone wan eth0\nzone lan eth1\nallow lan box\nike wan"
    _, (note,) = check(policy(text))
    assert note == "/f:4 (ike wan): no zone is ipsec+, so what comes out of tunnels is dropped"
    assert check(policy(text.replace("eth1", "ipsec2"))) == ([], [])


names = st.sampled_from(["wan", "lan", "guest", "box", "any", "lan,guest"])
kinds = st.sampled_from(["", "tcp", "tcp 22", "tcp 20-80", "udp 53", "dns", "ping", "ssh udp 9"])
places = st.sampled_from(
    ["", "from 10.0.0.0/8", "from 10.1.0.0/16", "to 10.1.0.0/16", "from 192.168.77.0/25 to 2001:db8::/32"]
)
lines = st.tuples(st.sampled_from(["allow", "deny", "reject"]), names, names, kinds, places).filter(
    lambda line: line[1:3] != ("box", "box")
)
policies = st.lists(lines, min_size=1, max_size=7).map(lambda them: "\n".join(map(" ".join, them)))
SCENE = "zone wan eth0\nzone lan eth1 192.168.77.0/24\nzone guest eth2 10.1.0.0/16\ntunnel-only wan 10.0.0.0/8\n"


def unreached(text: str) -> set[str]:
    """Places of the lines that are said to decide nothing."""
    clashes, notes = check(policy(SCENE + text))
    return {sentence.partition(" ")[0] for sentence in (*clashes, *notes)} - {"/f:"}


@settings(max_examples=150, deadline=None)
@given(policies)
def test_a_line_that_nothing_reaches_decides_no_packet(text: str) -> None:
    """Two that know nothing of each other: what looks for such lines, and what decides packets."""
    assert unreached(text) & {row.verdict.where for row in table(policy(SCENE + text))} == set()


@settings(max_examples=50, deadline=None)
@given(policies, lines)
def test_whatever_is_said_again_decides_nothing_the_second_time(text: str, line: tuple[str, ...]) -> None:
    whole = "\n".join([" ".join(line), text, " ".join(line)])
    assert f"/f:{4 + len(whole.splitlines())}" in unreached(whole)


def test_many_lines_are_looked_at_in_bearable_time() -> None:
    """Given three hundred lines with ports and networks all their own, then the pieces that are left stay few."""
    lines = [f"deny guest wan tcp {n}-{n + 50} from 10.{n % 250}.0.0/16 to 192.0.2.{n % 250}" for n in range(1, 301)]
    assert check(policy(ZONES + "\n".join([*lines, "allow guest wan"]))) == ([], [])
