"""lib/check.sh: what a string must look like before the box acts on it."""

from __future__ import annotations

import pytest
from scratch import SHELLS, Box

ACCEPTED = [
    ("is_number", "0"),
    ("is_number", "99999999999"),
    ("is_ipv4", "0.0.0.0"),
    ("is_ipv4", "255.255.255.255"),
    ("is_host_ipv4", "10.0.2.15"),
    ("is_host_prefix", "192.168.77.1/24"),
    ("is_host_prefix", "192.0.2.1/32"),
    ("is_interface", "eth0.100"),
    ("is_interface", "br-lan"),
    ("is_name", "a"),
    ("is_name", "box-1.example.org"),
    ("is_name", "x" * 63 + ".example"),
    ("is_server", "pool.ntp.org"),
    ("is_server", "192.0.2.7"),
    *(("is_time_zone", zone) for zone in ("UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "<+0330>-3:30", "<-03>3", "EST5EDT")),
]
REFUSED = [
    *(("is_number", text) for text in ("", "-1", "+1", "007", "1 ", "1\n", "0x10", "100000000000", "1;reboot")),
    *(
        ("is_ipv4", text)
        for text in ("", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4\n", " 1.2.3.4", "1..2.3")
    ),
    *(("is_ipv4", text) for text in ("1.2.3.", ".1.2.3", "1.2.3.4/24", "$(reboot)", "1.2.3.99999999999999999999")),
    *(("is_host_ipv4", text) for text in ("0.0.0.0", "127.0.0.1", "224.0.0.1", "239.1.1.1", "255.255.255.255")),
    *(
        ("is_host_prefix", text)
        for text in ("10.0.0.1", "10.0.0.1/0", "10.0.0.1/33", "10.0.0.1/", "10.0.0.1/24/24", "/24")
    ),
    *(("is_interface", text) for text in ("", "-f", ".", "..", "../x", "eth0 up", "eth0;id", "e" * 16, "eth0\n")),
    *(("is_name", text) for text in ("", ".", "a..b", "-a", "a-", "a.-b", "a-.b", "a_b", "a b", "a\nb", "ä", "x" * 64)),
    *(("is_name", text) for text in ("a.`id`", "a'b", "a\x1b[31m", ".".join(["x" * 63] * 5))),
    *(("is_server", text) for text in ("1.2.3", "1.2.3.4.5", "127.0.0.1", "")),
    *(
        ("is_time_zone", text)
        for text in ("", "UTC", "Europe/Vienna", "Etc/GMT+5", "/etc/passwd1", ":UTC0", "<+03", "AB1")
    ),
    *(("is_time_zone", text) for text in ("CET-1\n", "CET -1", "CET-1;id", f"CET-1{'0' * 60}")),
]


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[-1])
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return request.param


@pytest.mark.parametrize(("check", "text"), ACCEPTED)
def test_a_good_string_is_accepted(box: Box, shell: tuple[str, ...], check: str, text: str) -> None:
    assert box.shell("check", f'{check} "$1"', text, shell=shell).returncode == 0


@pytest.mark.parametrize(("check", "text"), REFUSED)
def test_a_bad_string_is_refused(box: Box, shell: tuple[str, ...], check: str, text: str) -> None:
    result = box.shell("check", f'{check} "$1"', text, shell=shell)
    assert (result.returncode, result.stderr) == (1, "")


def test_every_needs_at_least_one_word(box: Box) -> None:
    assert box.shell("check", "every is_ipv4").returncode == 1
    assert box.shell("check", "every is_ipv4 1.2.3.4 x").returncode == 1
    assert box.shell("check", "every is_ipv4 1.2.3.4 5.6.7.8").returncode == 0
