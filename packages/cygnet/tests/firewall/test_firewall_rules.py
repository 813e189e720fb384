"""The rules, as the programs of iptables take them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cygnet.firewall import render
from cygnet.firewall.policy import Policy
from firewall_scene import EXAMPLE, NETWORK, STOCK, policy, tables

POLICIES = {"stock": STOCK.read_text(), "example": EXAMPLE, "bare": "zone lan eth1\n", "nothing": "zone lan $LAN"}


def loaded(found: Policy) -> dict[str, str]:
    """What the kernel says of the rules that it was given, both families, without counters."""
    rules = render(found)
    saved = {}
    for name, program in (("rules.v4", "iptables"), ("rules.v6", "ip6tables")):
        tables(f"{program}-restore", "--test", text=rules[name])
        tables(f"{program}-restore", text=rules[name])
        saved[name] = tables(f"{program}-save")
    return saved


@pytest.mark.parametrize("name", POLICIES)
def test_the_kernel_takes_them_and_drops_what_no_rule_is_about(namespace: None, name: str) -> None:
    for text in loaded(policy(POLICIES[name], LAN="" if name == "nothing" else "eth1")).values():
        assert ":INPUT DROP" in text
        assert ":FORWARD DROP" in text
        assert {line for line in text.splitlines() if line.startswith("*")} == {"*raw", "*mangle", "*nat", "*filter"}


@pytest.mark.parametrize("name", POLICIES)
def test_each_chain_logs_by_one_rule_at_most_and_with_a_limit(name: str) -> None:
    for text in render(policy(POLICIES[name])).values():
        logs = [line for line in text.splitlines() if "-j LOG" in line]
        assert len({line.split()[1] for line in logs}) == len(logs) > 3
        assert all("-m limit" in line for line in logs)


def test_the_same_policy_gives_the_same_rules_with_their_origin_in_the_first_line() -> None:
    one, other = render(policy(EXAMPLE)), render(policy(EXAMPLE))
    assert one == other
    assert {text.splitlines()[0] for text in one.values()} == {f"# from: {policy(EXAMPLE).digest}"}


def test_segments_are_fitted_in_one_place_and_only_where_packets_pass() -> None:
    for text in render(policy(EXAMPLE)).values():
        (clamp,) = [line for line in text.splitlines() if "TCPMSS" in line]
        assert clamp == "-A passing -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"
        assert "-A FORWARD -j passing" in text


def test_tunnels_are_left_alone_before_anything_is_masqueraded() -> None:
    rules = render(policy(EXAMPLE))
    inside = [line for line in rules["rules.v4"].splitlines() if line.startswith("-A masquerade")]
    assert inside[0] == "-A masquerade -m policy --dir out --pol ipsec -j ACCEPT"
    assert [line.split()[-1] for line in inside] == ["ACCEPT", "MASQUERADE"]
    assert "MASQUERADE" not in rules["rules.v6"]
    marked = [line for line in rules["rules.v4"].splitlines() if "-j MARK" in line]
    assert len(marked) == 2
    assert all("-o eth0 -m policy --dir out --pol none" in line for line in marked)


def test_nothing_is_taken_for_decrypted_by_the_name_of_its_interface() -> None:
    for text in render(policy(EXAMPLE)).values():
        ours = [line for line in text.splitlines() if "line:27" not in line]
        assert not [line for line in ours if "-i ipsec" in line]
        named = [line for line in ours if " -i " in line and " -i lo " not in line]
        assert all("-m policy --dir in --pol none" in line for line in named)


def test_one_ipsec_interface_is_known_by_name_and_by_having_decrypted() -> None:
    found = render(policy("zone hq ipsec3\nzone lan eth1\nallow hq lan\nallow lan hq"))["rules.v4"].splitlines()
    passing = [line for line in found if line.startswith("-A through -i")]
    clear = "-m policy --dir {} --pol none"
    assert passing == [
        f"-A through -i ipsec3 -m policy --dir in --pol ipsec -o eth1 {clear.format('out')} -m comment --comment line:3 -j ACCEPT",
        f"-A through -i eth1 {clear.format('in')} -o ipsec3 -m comment --comment line:4 -j ACCEPT",
    ]


def test_a_builder_makes_files_of_it(tmp_path: Path) -> None:
    description, network, out = tmp_path / "firewall", tmp_path / "network", tmp_path / "made/here"
    description.write_bytes(STOCK.read_bytes())
    network.write_text(NETWORK)
    command = [sys.executable, "-m", "cygnet.firewall", str(description), str(network), str(out)]
    path = str(Path(__file__).parents[2] / "src")
    assert subprocess.run(command, check=True, capture_output=True, env={"PYTHONPATH": path}).stdout == b""
    assert sorted(file.name for file in out.iterdir()) == ["firewall", "rules.v4", "rules.v6"]
    made = {file.name: file.read_text() for file in out.iterdir()}
    assert made.pop("firewall") == STOCK.read_text()
    assert made == render(policy(STOCK.read_text()))
    description.write_text("zone wan eth0\nallow lan wan")
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={"PYTHONPATH": path})
    assert (done.returncode, done.stderr) == (1, f"{description}:2: there is no zone lan; did you mean wan?\n")
    assert subprocess.run(command[:4], check=False, capture_output=True, env={"PYTHONPATH": path}).returncode == 2
