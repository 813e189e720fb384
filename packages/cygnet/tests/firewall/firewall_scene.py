"""Policies for tests, and a network namespace to load them in."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cygnet.firewall.policy import Policy
from cygnet.firewall.read import parse
from cygnet.firewall.settings import DEFAULTS, Settings

STOCK = Path(__file__).parents[4] / "overlay/etc/cygnet/firewall"
NETWORK = "".join(f"{key}={value}\n" for key, value in DEFAULTS.items())
# Every statement, every clause.
EXAMPLE = """\
zone wan $WAN
zone lan $LAN $LAN_ADDRESS 2001:db8:77::/64
zone guest eth2 10.5.0.0/16
zone dmz br0 eth3.7 10.5.9.0/24
zone vpn ipsec+
ike wan from 198.51.100.7 2001:db8::7
tunnel-only wan 10.0.0.0/8 192.168.0.0/16 fc00::/7 except 10.5.9.0/24 192.168.1.0/24
masquerade lan wan
masquerade guest wan
forward wan tcp 443 to 192.168.77.10:8443 log
forward wan udp 5000-5010,6000 to 192.168.77.11 from 203.0.113.0/24
forward wan https to 2001:db8:77::10
deny guest any smtp log
allow lan wan
allow guest wan tcp 80,443,8000-8010
allow guest wan udp 443 sctp 7
reject lan,guest dmz telnet
allow lan dmz ssh to 10.5.9.4 10.5.9.5
allow vpn lan from 10.9.0.0/16 to 192.168.77.0/24
allow lan vpn
allow lan box ssh dhcp dns ntp ping
allow guest box dhcp dns
allow wan box ssh from 203.0.113.7 log
allow vpn box icmp
allow box wan dhcp dns ntp
deny box wan tcp 25
iptables -A FORWARD -i ipsec+ -d 192.168.77.99 -j ACCEPT
ip6tables -A INPUT -p tcp --dport 179 -j REJECT
"""


def policy(text: str, **settings: str) -> Policy:
    """A policy from its text; errors call it /f."""
    return parse(text.encode(), "/f", Settings(DEFAULTS | settings))


def tool(name: str) -> str:
    """The legacy program, which is what a box has."""
    family, _, verb = name.partition("-")
    return shutil.which(f"{family}-legacy-{verb}" if verb else f"{family}-legacy") or name


def tables(name: str, *words: str, text: str = "") -> str:
    """Run iptables and its kin; it must succeed."""
    done = subprocess.run([tool(name), *words], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{name} {words}: {done.stderr}"
    return done.stdout


@contextmanager
def namespace() -> Iterator[None]:
    """A network of the test's own."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    assert libc.unshare(0x40000000) == 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        assert libc.setns(home, 0) == 0
        os.close(home)
