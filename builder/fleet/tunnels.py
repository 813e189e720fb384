"""The tunnels between hub and spokes, in ipsec.conf(5)'s words: both ends get the same conn, called as the spoke is.

What all of them have in common is said once: by ``conn HUB`` here, by ``conn %default`` in the template's [ipsec].
RSA ends have names, so their addresses may change; a secret is chosen by the two addresses, which are the names then.
"""

from __future__ import annotations

from collections.abc import Mapping

from builder.fleet.table import Row, Table

CONF = "tunnels.conf"
# As the daemon reads them: text.py's MAX_FILE.
MOST_BYTES = 1 << 20
# How long a peer may be silent before it is asked, and before it counts as gone, in seconds.
DELAY, TIMEOUT = 30, 120
Publics = Mapping[str, str]


def fragment(spoke: Row, hub: Row, publics: Publics, here: Row) -> str:
    """The conn of a pair, for the end ``here``: the spoke begins, the hub waits."""
    begins = here is spoke
    elsewhere = "%defaultroute" if begins else "%any"
    names = [
        ("leftid", spoke.id), ("leftrsasigkey", publics[spoke.name]), ("rightid", hub.id), ("authby", "rsasig")
    ] if spoke.auth == "rsa" else [("authby", "secret")]  # fmt: skip
    return _section(
        spoke.name,
        [
            ("also", hub.name),
            ("left", spoke.address or elsewhere),
            ("leftsubnet", spoke.lan.network),
            *names,
            ("dpddelay", DELAY),
            ("dpdtimeout", TIMEOUT),
            ("dpdaction", "restart" if begins else "clear"),
            ("auto", "start" if begins else "add"),
        ],
    )


def hub_end(hub: Row, publics: Publics) -> str:
    """What every conn of a hub says about it."""
    key = [("rightrsasigkey", publics[hub.name])] if hub.name in publics else []
    return _section(hub.name, [("right", hub.address), ("rightsubnet", hub.lan.network), *key])


def files(table: Table, row: Row, publics: Publics) -> dict[str, bytes]:
    """What a box has of its tunnels, by the name in its folder: all in one, and on a hub each by itself as well."""
    spokes = table.spokes(row)
    if not (row.hub or spokes):
        return {}
    hub = table.rows[row.hub] if row.hub else row
    parts = {spoke.name: fragment(spoke, hub, publics, row) for spoke in spokes or [row]}
    whole = "\n".join([hub_end(hub, publics), *parts.values()])
    each = {f"spokes/{name}.conf": text.encode() for name, text in parts.items()} if spokes else {}
    return {**each, CONF: whole.encode()}


def _section(name: str, settings: list[tuple[str, object]]) -> str:
    return "".join([f"conn {name}\n", *(f"    {key}={value}\n" for key, value in settings)])
