"""swanctl.conf(5) of one IKEv1 connection called `net`, with one child called `net`."""

from __future__ import annotations

from dataclasses import dataclass

PROPOSAL = "aes128-sha256-modp2048"


@dataclass(frozen=True)
class End:
    """One end: its address on the wire, the network behind it, its identity (default: the address).

    ``credential``: a line of swanctl.conf that names its certificate or public key.
    """

    address: str
    network: str
    identity: str = ""
    credential: str = ""

    @property
    def id(self) -> str:
        """What it calls itself."""
        return self.identity or self.address


@dataclass(frozen=True)
class Conn:
    """A connection as one end sees it. ``phase_2``: esp, or ah, whose proposals ``esp`` then has.

    ``more``, ``child``: further lines of its section and of its child's.
    """

    local: End
    remote: End
    auth: str = "psk"
    psk: str = ""
    ike: str = PROPOSAL
    esp: str = PROPOSAL
    phase_2: str = "esp"
    mode: str = "tunnel"
    more: str = ""
    child: str = ""

    def __str__(self) -> str:
        selectors = f"local_ts = {self.local.network}\nremote_ts = {self.remote.network}\n"
        return f"""connections {{
  net {{
    version = 1
    local_addrs = {self.local.address}
    remote_addrs = {self.remote.address}
    proposals = {self.ike}
    {self.more}
    {_auth("local", self.auth, self.local)}
    {_auth("remote", self.auth, self.remote)}
    children {{
      net {{
        {selectors if self.mode == "tunnel" else ""}
        mode = {self.mode}
        {self.phase_2}_proposals = {self.esp}
        {self.child}
      }}
    }}
  }}
}}
{_secret(self.psk)}"""


def _auth(which: str, auth: str, end: End) -> str:
    return f'{which} {{\n      auth = {auth}\n      id = "{end.id}"\n      {end.credential}\n    }}'


def _secret(psk: str) -> str:
    return f'secrets {{\n  ike-net {{\n    secret = "{psk}"\n  }}\n}}\n' if psk else ""
