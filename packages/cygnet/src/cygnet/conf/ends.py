"""left and right: which of them is this box, what one end says, and the End that it becomes."""

from __future__ import annotations

from typing import Any

from cygnet.conf.draft import Draft
from cygnet.conf.error import ConfError
from cygnet.conf.hosts import Host, Nexthop
from cygnet.conf.local import Local
from cygnet.connection.connection import End, HostKind, Type

OTHER = {"left": "right", "right": "left"}


def orient(draft: Draft, local: Local) -> tuple[str, str]:
    """The side that is this box, and the other."""
    hosts: dict[str, Host] = {side: draft.ends[side]["host"] for side in OTHER}
    ours = [side for side, host in hosts.items() if host.default_route or local.interface_of(host.address)]
    if len(ours) == 1:
        return ours[0], OTHER[ours[0]]
    shown = " nor ".join(f"{side}={draft.settings[side].value}" for side in OTHER)
    if ours:
        both = shown.replace(" nor ", " and ")
        raise ConfError(draft.where, f"{both} are both this box: correct the one that is to be the peer")
    known = ", ".join(str(address) for addresses in local.addresses.values() for address in addresses) or "none"
    raise ConfError(
        draft.where, f"neither {shown} is this box, whose addresses are {known}: correct one, or write %defaultroute"
    )


def check_end(draft: Draft, side: str) -> None:
    """What one end says must agree with itself."""
    end = draft.ends[side]
    if "host" not in end:
        raise ConfError(draft.where, f"it has no {side}=")
    host: Host = end["host"]
    nexthop: Nexthop = end.get("nexthop", Nexthop())
    if nexthop.address and nexthop.address == host.address:
        raise draft.fault(f"{side}nexthop", f"it is {side} itself: it must be the router, or be left out")
    if host.default_route and nexthop.address and not nexthop.default_route:
        raise draft.fault(f"{side}nexthop", f"{side}=%defaultroute brings its own, so leave it out")
    if "updown" in end and "firewall" in end:
        raise draft.fault(f"{side}firewall", f"it steers the standard script, so it cannot go with {side}updown=")
    if host.kind is HostKind.ANY and end.get("public_keys") and not end.get("id"):
        raise draft.fault(f"{side}rsasigkey", f"whose key is this? A {side} that can be anyone needs {side}id=")
    given = draft.settings.get(f"{side}id")
    if given and given.value == "%any" and host.kind is HostKind.ADDRESS:
        raise draft.fault(f"{side}id", f"%any goes only with {side}=%any: name the identity")


def check_families(draft: Draft) -> None:
    """The hosts must be of one family of addresses, and so must the traffic in the tunnel."""
    ends = draft.ends.values()
    hosts = [end["host"].address for end in ends]
    hops = [end["nexthop"].address for end in ends if "nexthop" in end]
    if len({one.version for one in (*hosts, *hops) if one}) > 1:
        raise ConfError(draft.where, "left, right and their nexthops must all be IPv4 or all be IPv6 addresses")
    inner = [end.get("subnet", end["host"].address) for end in ends]
    sources = [end["source_ip"] for end in ends if "source_ip" in end]
    shunt = draft.get("type") not in (Type.TUNNEL, Type.TRANSPORT)
    if not shunt and len({one.version for one in (*inner, *sources) if one}) > 1:
        raise ConfError(
            draft.where, "both ends of the traffic (leftsubnet, rightsubnet, leftsourceip) must be IPv4, or both IPv6"
        )


def make_end(draft: Draft, side: str, local: Local) -> End:
    """The End of one side."""
    values: dict[str, Any] = dict(draft.ends[side])
    host: Host = values.pop("host")
    nexthop: Nexthop = values.pop("nexthop", Nexthop())
    if values.get("ca") == "%same":
        values["ca"] = draft.ends[OTHER[side]].get("ca", "").replace("%same", "")
    fields = {key: value for key, value in values.items() if key in End.__dataclass_fields__}
    router = local.default_gateway if host.default_route else nexthop.address
    interface = local.interface_of(host.address) or (local.default_interface if host.default_route else "")
    return End(side, host.kind, host.address, host.name, router, interface=interface, **fields)
