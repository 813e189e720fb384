"""leftfirewall=yes with this machine's iptables, in a network namespace of the test's own: the back end that the box
has (legacy), and the one that Debian has (nft)."""

import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from own_namespace import FACTS, SCRIPT, OwnNamespace

HOST = {"MY_CLIENT": "192.0.2.1/32", "PEER_CLIENT": "192.0.2.2/32"}
SIX = {"MY_CLIENT": "2001:db8:1::/64", "PEER_CLIENT": "2001:db8:2::/64"}
JUMPS = [
    f"-A {builtin} -m comment --comment ipsec-updown -j ipsec-updown-{chain}"
    for builtin, chain in (("INPUT", "in"), ("FORWARD", "fwd"), ("OUTPUT", "out"))
]


class Firewall(OwnNamespace):
    """One back end of iptables, and no rule yet."""

    def __init__(self, folder: Path, backend: str, shell: list[str]) -> None:
        for name in ("iptables", "ip6tables"):
            for verb in ("", "-save", "-restore"):
                (folder / f"{name}{verb}").symlink_to(f"/usr/sbin/{name}-{backend}{verb}")
        super().__init__(shell, str(folder))

    def call(self, verb: str, *words: str, **changes: str) -> None:
        super().call(verb, *(words or ("iptables",)), **changes)

    def clean(self) -> None:
        done = self.run(*self.shell, str(SCRIPT), "clean")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def load(self, *rules: str) -> None:
        """As a firewall policy does, whole and at once: chains that it does not name keep what is in them."""
        done = self.run("iptables-restore", "--noflush", lines="\n".join(["*filter", *rules, "COMMIT\n"]))
        assert done.returncode == 0, done.stderr

    def saved(self, program: str = "iptables") -> list[str]:
        """Chains that are not the kernel's own, and rules."""
        lines = self.output(f"{program}-save", "-t", "filter").splitlines()
        return [line for line in lines if line.startswith("-A") or re.match(r":\S+ - ", line)]

    def rules(self, program: str = "iptables") -> list[str]:
        """Rules in the script's chains."""
        return [line.removeprefix("-A ipsec-updown-") for line in self.saved(program) if line.startswith("-A ipsec-")]


BOTH = [(backend, ["sh"]) for backend in ("legacy", "nft")]
ASH = [("legacy", ["busybox", "sh"])] if shutil.which("busybox") else []


@pytest.fixture(params=[*BOTH, *ASH], ids=lambda found: "-".join([found[0], *found[1]]))
def firewall(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Firewall]:
    made = Firewall(tmp_path, *request.param)
    yield made
    made.close()


IN, MINE = "-m policy --dir in --pol ipsec --reqid 16384", '-m comment --comment "16384 net" -j ACCEPT'
OUT = IN.replace("dir in", "dir out")
KINDS = {
    "client": (
        "client", {},
        f"fwd -s 10.2.0.0/24 -d 10.1.0.0/24 -i ipsec0 {IN} {MINE}",
        f"fwd -s 10.1.0.0/24 -d 10.2.0.0/24 -o ipsec0 {MINE}",
    ),
    "host": (
        "host", HOST | {"PEER_CLIENT": "10.2.0.0/24"},
        f"in -s 10.2.0.0/24 -d 192.0.2.1/32 -i ipsec0 {IN} {MINE}",
        f"out -s 192.0.2.1/32 -d 10.2.0.0/24 -o ipsec0 {MINE}",
    ),
    "ports": (
        "client", {"MY_PROTOCOL": "17", "MY_PORT": "1701", "PEER_PORT": "0"},
        f"fwd -s 10.2.0.0/24 -d 10.1.0.0/24 -i ipsec0 -p udp -m udp --dport 1701 {IN} {MINE}",
        f"fwd -s 10.1.0.0/24 -d 10.2.0.0/24 -o ipsec0 -p udp -m udp --sport 1701 {MINE}",
    ),
    "GRE in transport mode": (
        "host", HOST | {"CONN_TYPE": "transport", "INTERFACE": "eth0", "MY_PROTOCOL": "47", "MY_PORT": "0"},
        f"in -s 192.0.2.2/32 -d 192.0.2.1/32 -i eth0 -p gre {IN} {MINE}",
        f"out -s 192.0.2.1/32 -d 192.0.2.2/32 -o eth0 -p gre {OUT} {MINE}",
    ),
    "a pair of hosts, without ipsecN": (
        "host", HOST | {"INTERFACE": "eth0"},
        f"in -s 192.0.2.2/32 -d 192.0.2.1/32 -i eth0 {IN} {MINE}",
        f"out -s 192.0.2.1/32 -d 192.0.2.2/32 -o eth0 {OUT} {MINE}",
    ),
    "IPv6": (
        "client-v6", SIX,
        f"fwd -s 2001:db8:2::/64 -d 2001:db8:1::/64 -i ipsec0 {IN} {MINE}",
        f"fwd -s 2001:db8:1::/64 -d 2001:db8:2::/64 -o ipsec0 {MINE}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_rules_come_once_and_go(firewall: Firewall, name: str) -> None:
    kind, changes, *rules = KINDS[name]
    used, other = ("ip6tables", "iptables") if name == "IPv6" else ("iptables", "ip6tables")
    # When a tunnel comes up, and once more as after a rekeying, its two rules stand once, and are reached;
    for _ in range(2):
        firewall.call(f"up-{kind}", **changes)
        assert sorted(firewall.rules(used)) == sorted(rules)
        assert [line for line in firewall.saved(used) if line in JUMPS] == JUMPS
    # of the other family nothing is touched;
    assert firewall.saved(other) == []
    # and when it goes down, twice, they are gone.
    for _ in range(2):
        firewall.call(f"down-{kind}", **changes)
        assert firewall.rules(used) == []


def test_down_takes_what_up_brought_and_nothing_else(firewall: Firewall) -> None:
    """Two tunnels for the same traffic, and a rule of the administrator's that looks like theirs."""
    mine = "-A FORWARD -s 10.1.0.0/24 -d 10.2.0.0/24 -o ipsec0 -j ACCEPT"
    firewall.load(mine)
    firewall.call("up-client")
    firewall.call("up-client", CONNECTION="other", REQID="16385")
    # What a tunnel is for may have changed since it came up.
    firewall.call("down-client", PEER_CLIENT="10.2.0.0/25")
    assert len(firewall.rules()) == 2
    assert all('"16385 other"' in rule for rule in firewall.rules())
    firewall.call("down-client", CONNECTION="other", REQID="16385")
    assert [line for line in firewall.saved() if line.startswith("-A") and line not in JUMPS] == [mine]


def test_a_tunnel_that_comes_up_for_other_traffic_leaves_no_rule_of_before(firewall: Firewall) -> None:
    firewall.call("up-client", PEER_CLIENT="10.9.0.0/24")
    firewall.call("up-client")
    assert len(firewall.rules()) == 2
    assert not [rule for rule in firewall.rules() if "10.9" in rule]


def test_ten_at_once_all_have_their_rules(firewall: Firewall) -> None:
    def each(verb: str) -> None:
        with ThreadPoolExecutor(10) as pool:
            calls = [
                pool.submit(firewall.call, verb, CONNECTION=f"c{n}", REQID=str(16384 + n), PEER_CLIENT=f"10.2.{n}.0/24")
                for n in range(10)
            ]
            for call in calls:
                call.result()

    each("up-client")
    assert len(firewall.rules()) == 20
    assert len(set(firewall.rules())) == 20
    # Nobody made a jump a second time.
    assert [line for line in firewall.saved() if line in JUMPS] == JUMPS
    each("down-client")
    assert firewall.rules() == []


def test_what_a_daemon_that_died_left_is_taken_away(firewall: Firewall) -> None:
    firewall.load(":office - [0:0]", "-A FORWARD -j office", "-A office -i eth1 -j ACCEPT")
    before = {program: firewall.saved(program) for program in ("iptables", "ip6tables")}
    firewall.call("up-client")
    firewall.call("up-host", **HOST, REQID="16385")
    firewall.call("up-client-v6", **SIX, REQID="16386")
    assert len(firewall.rules()) == 4
    assert len(firewall.rules("ip6tables")) == 2
    for _ in range(2):
        firewall.clean()
        assert {program: firewall.saved(program) for program in before} == before


POLICY = (
    ":guard - [0:0]", "-F INPUT", "-F FORWARD", "-F guard",
    "-A guard -j RETURN", "-A FORWARD -j guard", "-A FORWARD -j ipsec-updown-fwd", "-A FORWARD -j DROP",
)  # fmt: skip


def test_a_policy_says_where_the_rules_are_asked_and_is_loaded_anew_without_harm(firewall: Firewall) -> None:
    # Given a policy that was loaded after a tunnel came up, with a jump of its own,
    firewall.call("up-client")
    rules = firewall.rules()
    for _ in range(2):
        firewall.load(*POLICY)
        assert firewall.rules() == rules
    # when more tunnels come up, its jump stays the only one, and where it was;
    firewall.call("up-client", CONNECTION="other", REQID="16385")
    forward = [line for line in firewall.saved() if line.startswith("-A FORWARD")]
    assert forward == ["-A FORWARD -j guard", "-A FORWARD -j ipsec-updown-fwd", "-A FORWARD -j DROP"]
    # and when the daemon ends, the jump leads to an empty chain.
    firewall.clean()
    assert [line for line in firewall.saved() if line.startswith("-A FORWARD")] == forward
    assert firewall.rules() == []


def test_a_jump_that_somebody_flushed_is_made_again(firewall: Firewall) -> None:
    firewall.call("up-client")
    firewall.load("-F FORWARD")
    firewall.call("up-client")
    assert [line for line in firewall.saved() if line in JUMPS] == JUMPS


def test_a_rule_that_the_kernel_refuses_is_a_sentence_and_leaves_what_was(firewall: Firewall) -> None:
    firewall.call("up-client")
    before = firewall.saved()
    wrong = FACTS | {"VERB": "up-client", "INTERFACE": "an-interface-of-too-many-letters"}
    done = firewall.run(*firewall.shell, str(SCRIPT), "iptables", facts=wrong)
    assert done.returncode == 1
    assert done.stderr.endswith("updown: iptables-restore refuses the rules of net\n")
    assert firewall.saved() == before
