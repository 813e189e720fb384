"""What the rest of the daemon may ask of a kernel: kernel/xfrm.py does it, kernel/fake.py plays it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cygnet.connection.connection import Address
from cygnet.connection.selector import Selector
from cygnet.errors import CygnetError
from cygnet.kernel.policy import Policy
from cygnet.kernel.sa import Sa, SaCounters, SaKey


class KernelError(CygnetError):
    """The kernel refused; says what it was asked and why it refused."""


@dataclass(frozen=True)
class Acquire:
    """Traffic met a policy without an SA. ``reqid``: the template's. ``source``, ``destination``: the packet's."""

    reqid: int
    source: Selector
    destination: Selector


@dataclass(frozen=True)
class Expire:
    """An SA reached its soft or ``hard`` lifetime."""

    key: SaKey
    reqid: int
    hard: bool


@dataclass(frozen=True)
class Mapping:
    """A peer behind NAT sends from another address or port now."""

    key: SaKey
    reqid: int
    source: Address
    source_port: int


Event = Acquire | Expire | Mapping


class Kernel(Protocol):
    """Every call is short and synchronous; each raises KernelError."""

    def add_sa(self, sa: Sa) -> None:
        """Install an SA; one that is there already is an error."""

    def update_sa(self, sa: Sa) -> None:
        """Change the addresses, ports or lifetimes of an SA that is there."""

    def move_sa(self, key: SaKey, sa: Sa) -> None:
        """Put ``sa`` in the place of the SA ``key``, which keeps its sequence numbers and replay state."""

    def delete_sa(self, key: SaKey) -> None:
        """Remove an SA; one that has gone already is no error."""

    def query_sa(self, key: SaKey) -> SaCounters | None:
        """Its counters, None if there is none."""

    def list_sas(self) -> list[tuple[SaKey, int]]:
        """All SAs with their reqids, whoever's."""

    def list_policies(self) -> list[Policy]:
        """All policies, whoever's."""

    def put_policy(self, policy: Policy) -> None:
        """Install a policy, or replace the one of the same name in place, with no moment without either.

        One that another of `ours.OWNERS` has is not replaced, and refused.
        """

    def delete_policy(self, policy: Policy) -> None:
        """Remove a policy; one that has gone already, or is of another owner by now, is no error."""

    def add_path(self, remote: Address, interface: str, gateway: Address | None) -> None:
        """Let ESP and IKE reach ``remote`` by this physical interface, whatever routes lead into tunnels.

        ``gateway`` None: as the interface's own routes say. A path that is there is replaced.
        """

    def delete_path(self, remote: Address) -> None:
        """Remove a path; one that has gone already is no error."""

    def index(self, interface: str) -> int:
        """By what number policies know an interface."""

    def flush(self, keep_blocks: bool = False) -> list[Policy]:
        """Remove every SA, policy and path that this owner installed, and nothing else.

        ``keep_blocks``: but not the policies that only stop packets in the clear; returns what stays.
        """

    def fileno(self) -> int:
        """A file descriptor that is readable when there are events; -1 for none."""

    def events(self) -> list[Event]:
        """The events that have come since last time; empty rather than waiting."""
