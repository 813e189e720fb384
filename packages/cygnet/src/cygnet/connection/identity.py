"""Who an end claims to be: identification of RFC 2407, section 4.6.2, as ipsec.conf(5) writes it."""

from __future__ import annotations

import enum
import ipaddress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address


class IdType(enum.IntEnum):
    """Types of identity (RFC 2407, section 4.6.2.1)."""

    IPV4_ADDR = 1
    FQDN = 2
    USER_FQDN = 3
    IPV4_ADDR_SUBNET = 4
    IPV6_ADDR = 5
    IPV6_ADDR_SUBNET = 6
    IPV4_ADDR_RANGE = 7
    IPV6_ADDR_RANGE = 8
    DER_ASN1_DN = 9
    DER_ASN1_GN = 10
    KEY_ID = 11


@dataclass(frozen=True)
class Identity:
    """An identity: its type, and its bytes exactly as they stand in the payload."""

    type: IdType
    data: bytes

    @classmethod
    def address(cls, address: IPv4Address | IPv6Address) -> Identity:
        """The identity of a host without a name."""
        return cls(IdType.IPV4_ADDR if address.version == 4 else IdType.IPV6_ADDR, address.packed)

    def __str__(self) -> str:
        """As ipsec.conf(5) and ipsec.secrets(5) write it; safe to print whatever the peer sent."""
        match self.type:
            case IdType.IPV4_ADDR | IdType.IPV6_ADDR if len(self.data) in (4, 16):
                return str(ipaddress.ip_address(self.data))
            case IdType.FQDN:
                return "@" + printable(self.data)
            case IdType.USER_FQDN:
                return printable(self.data)
            case IdType.KEY_ID:
                text = printable(self.data)
                return f"@[{text}]" if text == self.data.decode("latin-1") else self._hex()
            case IdType.DER_ASN1_DN:
                from cygnet.crypto.names import name_to_text

                return name_to_text(self.data)
        return self._hex()

    def _hex(self) -> str:
        return "@#" + self.data.hex()


def printable(data: bytes) -> str:
    """Text from a stranger: everything but plain printable ASCII becomes \\xNN, so no terminal obeys it."""
    return "".join(chr(c) if 0x20 < c < 0x7F and c not in b"\\\"'`$" else f"\\x{c:02x}" for c in data)
