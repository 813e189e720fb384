"""One conn of ipsec.conf(5), its parameters collected, into a Connection: what is checked of a conn as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from cygnet.conf import proposals
from cygnet.conf.ends import OTHER, Draft, check_end, check_families, make_end, orient
from cygnet.conf.parameters import CONN
from cygnet.conf.sections import Setting
from cygnet.conf.values import Scope
from cygnet.connection.connection import AuthBy, Connection, DpdAction, HostKind, Shunt, Type
from cygnet.connection.local import follow
from cygnet.crypto.transforms import GROUPS

DPD_DELAY = 30.0
STRANGERS = (HostKind.OPPORTUNISTIC, HostKind.OPPORTUNISTIC_GROUP)
_R = TypeVar("_R")


def build(name: str, where: str, settings: Mapping[str, Setting], scope: Scope, series: int) -> Connection:
    """The connection; ConfError where it cannot be one."""
    draft = Draft(where, settings)
    if "connaddrfamily" in settings:
        scope = replace(scope, version=draft.read("connaddrfamily", scope))
    for key, row in CONN.items():
        if key in settings and not row.manual:
            draft.store(key, draft.read(key, scope))
        elif series == 1 and row.old and row.sets:
            draft.store(key, row.read(row.old, scope))
    for side in OTHER:
        check_end(draft, side)
    if series == 2:
        _keys_from_dns(draft)
    here, there = orient(draft, scope.local)
    check_families(draft)
    _proposals(draft)
    _check(draft)
    fields = {key: value for key, value in draft.values.items() if key in Connection.__dataclass_fields__}
    made = Connection(name, make_end(draft, here), make_end(draft, there), where=where, **fields)
    # Who has no key is spoken to as before, unless the file says otherwise.
    if made.there.kind in STRANGERS and "failureshunt" not in settings:
        made = replace(made, failure_shunt=Shunt.PASSTHROUGH)
    return follow(made, scope.local)


def _keys_from_dns(draft: Draft) -> None:
    """rsasigkey= of 2.x is %dnsondemand where nothing else is given, for ends with an identity to ask for."""
    for side, end in draft.ends.items():
        if f"{side}rsasigkey" not in draft.settings and "cert" not in end:
            end["keys_from_dns"] = end["host"].kind is not HostKind.ANY or bool(end.get("id"))


def _proposals(draft: Draft) -> None:
    """ike=, esp=, ah=, auth=, phase2= and pfsgroup= into the fields that they come to."""
    given = draft.values
    protocol, key, bundled = _protocol(draft)
    safe = proposals.SAFE_AH if protocol == "ah" else proposals.SAFE_ESP
    ike, weak = _tried(draft, "ike", lambda: proposals.ike(given.get("ike", proposals.SAFE_IKE)))
    child, groups, weak_child = _tried(draft, key, lambda: proposals.child(given.get(key, safe), protocol))
    if bundled:
        child, weak_ah = _tried(draft, "ah", lambda: proposals.with_ah(child, given.get("ah", "")))
        weak_child = [*weak_child, *weak_ah]
    if "pfsgroup" in given:
        groups = [_tried(draft, "pfsgroup", lambda: proposals.group(given["pfsgroup"]))]
    weak = [*weak, *weak_child, *(GROUPS[number].name for number in groups if GROUPS[number].weak)]
    given |= {"ike": ike, "child": child}
    given |= {"pfs_groups": tuple(dict.fromkeys(groups)), "weak": tuple(dict.fromkeys(weak))}


def _protocol(draft: Draft) -> tuple[str, str, bool]:
    """esp or ah, the parameter that lists its transforms, and whether AH goes around ESP, which is FreeS/WAN's auth=ah.

    AH alone, without encryption, is never read into auth=ah: esp= must name hashes only, or it is phase2=ah.
    """
    given = draft.values
    if given.get("phase2") == "ah":
        return "ah", "ah" if "ah" in given else "esp", False
    bundled = given.get("auth") == "ah"
    if bundled and "esp" in given and _tried(draft, "esp", lambda: proposals.is_hashes_only(given["esp"])):
        return "ah", "esp", False
    return "esp", "esp", bundled


def _tried(draft: Draft, key: str, read: Callable[[], _R]) -> _R:
    try:
        return read()
    except ValueError as error:
        raise draft.fault(key, str(error)) from None


def _check(draft: Draft) -> None:
    """What the conn says as a whole must agree with itself; dpdaction= alone asks at the usual interval."""
    kind, action = draft.get("type"), draft.get("dpd_action")
    if action is DpdAction.NONE or "dpdaction" in draft.settings:
        delay = draft.values.get("dpd_delay", DPD_DELAY)
        draft.values["dpd_delay"] = 0.0 if action is DpdAction.NONE else delay
    for side, end in draft.ends.items():
        if kind is Type.TRANSPORT and "subnet" in end and end["subnet"].num_addresses > 1:
            raise draft.fault(f"{side}subnet", "type=transport is from host to host, without subnets")
    if draft.get("auth_by") is AuthBy.NEVER and kind in (Type.TUNNEL, Type.TRANSPORT):
        raise draft.fault("authby", "what is never negotiated needs type=passthrough, drop or reject")
    longest = draft.get("rekey_margin") * (1 + draft.get("rekey_fuzz"))
    for key, life in (("keylife", "key_life"), ("ikelifetime", "ike_lifetime")):
        if draft.get("rekey") and draft.get(life) <= longest:
            raise draft.fault(key, f"it must be longer than rekeymargin with its rekeyfuzz, {longest:.0f}s")
