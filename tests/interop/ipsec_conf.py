"""ipsec.conf(5) of one connection called `net`, for Cygnet and for libreswan."""

from __future__ import annotations

from dataclasses import dataclass, field

from swanctl_config import End

PLAIN = {
    "authby": "secret",
    "ike": "aes128-sha2_256-modp2048",
    "esp": "aes128-sha2_256",
    "keyingtries": "1",
    "auto": "add",
}


@dataclass(frozen=True)
class IpsecConn:
    """This end is on the left. ``more``: further parameters, or other values than PLAIN; "" takes one away."""

    local: End
    remote: End
    more: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        lines: dict[str, str] = {}
        for side, end in (("left", self.local), ("right", self.remote)):
            lines |= {side: end.address, f"{side}subnet": end.network, f"{side}id": end.identity}
        lines |= PLAIN | self.more
        return "conn net\n" + "".join(f"\t{name}={value}\n" for name, value in lines.items() if value)
