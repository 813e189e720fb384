"""left and right while a conn is read: which of them is this box, what one end says, and the End that it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cygnet.conf.error import ConfError
from cygnet.conf.hosts import Host
from cygnet.conf.parameters import CONN
from cygnet.conf.sections import Setting
from cygnet.conf.values import Scope
from cygnet.connection.connection import Connection, End, HostKind, Type
from cygnet.connection.local import Local

OTHER = {"left": "right", "right": "left"}


class Draft:
    """A conn while it is read. ``values``: what was given, by field of Connection; ``ends``: of left and right."""

    def __init__(self, where: str, settings: Mapping[str, Setting]) -> None:
        self.where = where
        self.settings = settings
        self.values: dict[str, Any] = {}
        self.ends: dict[str, dict[str, Any]] = {side: {"public_keys": ()} for side in OTHER}

    def fault(self, key: str, reason: str) -> ConfError:
        """An error about a parameter, at its place; where it is not given, at the conn's."""
        if setting := self.settings.get(key):
            return ConfError(setting.where, f"{key}={setting.value[:80]}: {reason}")
        return ConfError(self.where, f"{key}: {reason}")

    def read(self, key: str, scope: Scope) -> Any:
        """The value of a parameter that is given."""
        try:
            return CONN[key].read(self.settings[key].value, scope)
        except ValueError as error:
            raise self.fault(key, str(error)) from None

    def store(self, key: str, value: Any) -> None:
        """Keep it under the field that it sets; several parameters may add to one field."""
        row = CONN[key]
        end = self.ends["left" if key.startswith("left") else "right"] if "*" in row.name else self.values
        if value is True and row.sets == "public_keys":
            end["keys_from_dns"] = True
        elif row.sets == "public_keys":
            end["public_keys"] += (value,) if value else ()
        elif row.sets == "protocol":
            end["protocol"], end["port"] = value
        else:
            end[row.sets or key] = value

    def get(self, name: str) -> Any:
        """A field of the Connection to be, given or by default."""
        return self.values.get(name, Connection.__dataclass_fields__[name].default)


def orient(draft: Draft, local: Local) -> tuple[str, str]:
    """The side that is this box, or may come to be, and the other."""
    hosts: dict[str, Host] = {side: draft.ends[side]["host"] for side in OTHER}
    ours = [side for side, host in hosts.items() if host.default_route or local.interface_of(host.address)]
    if len(ours) == 1:
        return ours[0], OTHER[ours[0]]
    left, right = (f"{side}={draft.settings[side].value}" for side in OTHER)
    if ours:
        raise ConfError(draft.where, f"{left} and {right} are both this box: correct the one that is to be the peer")
    # An address may come: until then it is not known which of two ends this box will be.
    if fixed := [side for side, host in hosts.items() if host.kind is HostKind.ADDRESS]:
        return fixed[0], OTHER[fixed[0]]
    raise ConfError(draft.where, f"neither {left} nor {right} is this box: correct one, or write %defaultroute")


def check_end(draft: Draft, side: str) -> None:
    """What one end says must agree with itself."""
    end = draft.ends[side]
    if "host" not in end:
        raise ConfError(draft.where, f"it has no {side}=")
    host: Host = end["host"]
    nexthop = draft.settings[f"{side}nexthop"].value if f"{side}nexthop" in draft.settings else ""
    if end.get("nexthop") and end["nexthop"] == host.address:
        raise draft.fault(f"{side}nexthop", f"it is {side} itself: it must be the router, or be left out")
    if host.default_route and nexthop not in ("", "%defaultroute"):
        raise draft.fault(f"{side}nexthop", f"{side}=%defaultroute brings its own, so leave it out")
    if "updown" in end and "firewall" in end:
        raise draft.fault(f"{side}firewall", f"it steers the standard script, so it cannot go with {side}updown=")
    if host.kind is HostKind.ANY and end["public_keys"] and not end.get("id"):
        raise draft.fault(f"{side}rsasigkey", f"whose key is this? A {side} that can be anyone needs {side}id=")
    if host.address and f"{side}id" in draft.settings and draft.settings[f"{side}id"].value == "%any":
        raise draft.fault(f"{side}id", f"%any goes only with {side}=%any: name the identity")


def check_families(draft: Draft) -> None:
    """The hosts must be of one family of addresses, and so must the traffic in the tunnel."""
    ends = draft.ends.values()
    outer = [*(end["host"].address for end in ends), *(end.get("nexthop") for end in ends)]
    if len({one.version for one in outer if one}) > 1:
        raise ConfError(draft.where, "left, right and their nexthops must all be IPv4 or all be IPv6 addresses")
    inner = [*(end.get("subnet", end["host"].address) for end in ends), *(end.get("source_ip") for end in ends)]
    if draft.get("type") in (Type.TUNNEL, Type.TRANSPORT) and len({one.version for one in inner if one}) > 1:
        raise ConfError(draft.where, "leftsubnet, rightsubnet and leftsourceip must all be IPv4, or all be IPv6")


def make_end(draft: Draft, side: str) -> End:
    """The End of one side, as far as the file says it: what depends on this box is for `follow`."""
    values: dict[str, Any] = dict(draft.ends[side])
    host: Host = values.pop("host")
    setting = draft.settings.get(f"{side}nexthop")
    values |= {"default_host": host.default_route, "default_hop": bool(setting and setting.value == "%defaultroute")}
    if values.get("ca") == "%same":
        values["ca"] = draft.ends[OTHER[side]].get("ca", "").replace("%same", "")
    fields = {key: value for key, value in values.items() if key in End.__dataclass_fields__}
    return End(side, host.kind, host.address, host.name, **fields)
