"""What a packet is for: names of services, protocols and ports, as a line of the policy has them.

Numbers are of IANA's registries. A service is of one protocol; a name may stand for several of them.
"""

from __future__ import annotations

from typing import NamedTuple

MOST_PORTS = 15  # that one rule of iptables takes; a range counts as two
LAST_PORT = 65535
ICMP, TCP, UDP, AH, ICMP6 = 1, 6, 17, 51, 58


class Service(NamedTuple):
    """``protocol`` 0: any. ``ports``: first and last of each range, or types of ICMP; none: all of them.

    ``version``: 4 or 6 where it has a meaning in one of them only, else 0.
    """

    protocol: int
    ports: tuple[tuple[int, int], ...] = ()
    version: int = 0


EVERYTHING = Service(0)
PROTOCOLS = {
    "tcp": (Service(TCP),),
    "udp": (Service(UDP),),
    "icmp": (Service(ICMP, version=4), Service(ICMP6, version=6)),
    "igmp": (Service(2, version=4),),
    "ipip": (Service(4),),
    "gre": (Service(47),),
    "esp": (Service(50),),
    "ah": (Service(AH),),
    "ospf": (Service(89),),
    "sctp": (Service(132),),
}
_TCP = {
    "bgp": 179, "ftp": 21, "http": 80, "https": 443, "imap": 143, "imaps": 993, "ldap": 389, "ldaps": 636,
    "mysql": 3306, "pop3": 110, "postgresql": 5432, "rdp": 3389, "smb": 445, "smtp": 25, "ssh": 22,
    "submission": 587, "submissions": 465, "telnet": 23,
}  # fmt: skip
_UDP = {"l2tp": 1701, "ntp": 123, "radius": 1812, "snmp": 161, "syslog": 514, "tftp": 69}
_BOTH = {"dns": 53, "kerberos": 88, "sip": 5060}
IKE = (Service(UDP, ((500, 500), (4500, 4500))), *PROTOCOLS["esp"], *PROTOCOLS["ah"])
NAMES = {
    **PROTOCOLS,
    **{name: (Service(TCP, ((port, port),)),) for name, port in _TCP.items()},
    **{name: (Service(UDP, ((port, port),)),) for name, port in _UDP.items()},
    **{name: tuple(Service(one, ((port, port),)) for one in (TCP, UDP)) for name, port in _BOTH.items()},
    "dhcp": (Service(UDP, ((67, 67),), 4), Service(UDP, ((547, 547),), 6)),
    "ping": (Service(ICMP, ((8, 8),), 4), Service(ICMP6, ((128, 128),), 6)),
    "traceroute": (Service(UDP, ((33434, 33534),)),),
    "ike": IKE,
}


def ports(text: str) -> tuple[tuple[int, int], ...]:
    """80,443,8000-8010; ValueError says what is wrong."""
    found = tuple(_range(part) for part in text.split(","))
    if sum(1 + (first != last) for first, last in found) > MOST_PORTS:
        raise ValueError(f"{text} is more than {MOST_PORTS} ports, a range counting as two: write two lines")
    return found


def _range(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    numbers = [int(one) if one.isdecimal() and one.isascii() and len(one) < 6 else 0 for one in (first, last or first)]
    if not all(0 < number <= LAST_PORT for number in numbers) or (dash and not last):
        raise ValueError(f"{text} is no port: a number from 1 to {LAST_PORT}, a range such as 8000-8010")
    if numbers[0] > numbers[1]:
        raise ValueError(f"the range {text} ends before it begins")
    return numbers[0], numbers[1]


def services(words: list[str]) -> tuple[Service, ...]:
    """Names, and ``tcp`` or ``udp`` with ports; no word: everything. ValueError says what is wrong."""
    found: list[Service] = []
    for i, word in enumerate(words):
        if word in NAMES:
            found += NAMES[word]
        elif word[:1].isdecimal() and i and words[i - 1] in ("tcp", "udp", "sctp"):
            found[-1] = found[-1]._replace(ports=ports(word))
        elif word[:1].isdecimal():
            raise ValueError(f"{word} stands after no protocol: write tcp {word} or udp {word}, commas between ports")
        else:
            from difflib import get_close_matches

            close = get_close_matches(word[:64], NAMES, 1)
            hint = f"did you mean {close[0]}?" if close else "a name such as ssh, or a protocol and ports: tcp 80,443"
            raise ValueError(f"there is no service {word[:40]}; {hint}")
    return tuple(found) or (EVERYTHING,)
