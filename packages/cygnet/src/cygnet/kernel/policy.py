"""Policies as the kernel is told of them (RFC 4301, section 4.4.1)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cygnet.connection.connection import Address
from cygnet.connection.selector import Selector


class Direction(enum.Enum):
    """Which traffic a policy looks at."""

    IN = "in"
    OUT = "out"
    FORWARD = "fwd"


class Action(enum.Enum):
    """What becomes of the traffic: with templates ALLOW means protect."""

    ALLOW = "allow"
    BLOCK = "block"


@dataclass(frozen=True)
class Template:
    """One layer of protection that the traffic must have. ``optional``: of IPComp, which skips small packets.

    ``source`` and ``destination`` None: whatever the SA has (transport mode).
    """

    protocol: str
    mode: str
    reqid: int
    source: Address | None = None
    destination: Address | None = None
    optional: bool = False


@dataclass(frozen=True)
class Policy:
    """One policy. A smaller ``priority`` wins. Its name in the kernel is all but priority, action and templates.

    ``interface``: index of the one by which the traffic leaves; 0 is any.
    """

    direction: Direction
    source: Selector
    destination: Selector
    priority: int
    action: Action = Action.ALLOW
    templates: tuple[Template, ...] = ()
    if_id: int = 0
    mark: int = 0
    interface: int = 0
