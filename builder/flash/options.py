"""What a user may say about a flashing, beside what goes where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Console:
    """The switches for a board behind its serial console.

    ``address``: the board's while it is flashed, with its network (192.168.77.1/24); ``server``: ours, where it loads
    from; ``gateway``: its router, if there is one between; ``seen_as``: where its packets come from, if a NAT is
    between.  ``ymodem``: everything goes over the serial line; ``speed``: that line's, in bit/s, if it is not the
    console's; ``reboot``: a running Linux may be restarted; ``only_start``: nothing is written, the box is started;
    ``mac``: the board's Ethernet address, where others on its network start by PXE, too.
    """

    address: str = "192.168.77.1/24"
    server: str = ""
    gateway: str = ""
    seen_as: str = ""
    ymodem: bool = False
    speed: int = 0
    reboot: bool = False
    only_start: bool = False
    mac: str = ""


@dataclass(frozen=True)
class Options:
    """The switches of ./inv flash.

    ``keep_data``: what the data partition holds stays; ``yes``: nobody is asked; ``any_size`` and ``fixed_disk``: so is
    a disk taken that is larger than a card, or that is not removable.
    """

    keep_data: bool = False
    yes: bool = False
    any_size: bool = False
    fixed_disk: bool = False
    console: Console = Console()
