"""A row's site file: made by the template, then read by those who read site files, then compared with the row.

What they find is told by the row's and the template's line; the file itself was never anybody's to edit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Template

from builder import sites
from builder.errors import CygnetError
from builder.fleet import template as templates
from builder.fleet.folder import NEW
from builder.fleet.plain import SECRETS
from builder.fleet.table import Row, Table
from builder.fleet.template import Rendered
from builder.fleet.tunnels import CONF

if TYPE_CHECKING:
    from cygnet_site.model import Site

FILE = "site.toml"


def make(template: Template, table: Table, row: Row) -> Rendered:
    """The text. The template has ``row`` and ``hub`` (columns, as row.name), ``spokes`` (rows) and ``ipsec``."""
    needed = table.has_tunnels(row)
    ipsec = {"files": [CONF] * needed, "secrets": [{"file": SECRETS}] * needed}
    hub = table.rows[row.hub].cells if row.hub else None
    spokes = [spoke.cells for spoke in table.spokes(row)]
    values = {"row": row.cells, "hub": hub, "spokes": spokes, "ipsec": ipsec}
    return templates.render(template, row.where, values)


def check(made: Rendered, folder: Path, table: Table, row: Row, template: str) -> None:
    """CygnetError with what is wrong in the site that ``folder`` will hold. No secret is read."""
    # Files that it names are looked for from there, and a new box has no folder yet: .new is as deep.
    there = folder if folder.is_dir() else folder.parent / NEW
    file, where = there / FILE, f"{row.where}: {template}"
    try:
        site = sites.parse(made.text.encode(), file)
        for at, sentence in _differences(site, row, table.has_tunnels(row)):
            raise CygnetError(f"{file}:{site.line(*at)}: {sentence}")
        sites.render(_without_secrets(site))
    except CygnetError as error:
        place = re.compile(rf"{re.escape(str(file))}:(\d+)")
        told = place.sub(lambda found: f"{where}:{made.origin(int(found[1]))}", str(error))
        raise CygnetError(told.replace(str(there), str(folder))) from None


def _without_secrets(site: Site) -> Site:
    """What can be rendered before there are keys, by somebody who has none."""
    wan = replace(site.wan, pppoe=None) if site.wan else None
    return replace(site, wan=wan, ipsec=replace(site.ipsec, secrets=(), files=()))


def _differences(site: Site, row: Row, has_tunnels: bool) -> Iterator[tuple[tuple[str, ...], str]]:
    """Where the site is not the box that the tunnels are made for."""
    wan = site.wan.address if site.wan else None
    if site.name != row.name:
        yield (
            ("name",),
            f"the box is called {site.name} here, and {row.name} in the table: write name = {{{{ row.name }}}}",
        )
    if row.address and not (isinstance(wan, IPv4Interface) and wan.ip == row.address):
        yield ("wan", "address"), f"its tunnels are to {row.address}: write address = {{{{ row.address }}}} in [wan]"
    if row.lan.network not in [lan.address.network for lan in site.lans]:
        yield ("lan",), f"no LAN of it is {row.lan.network}: write address = {{{{ row.lan }}}} in [[lan]]"
    secrets = [one.file for one in site.ipsec.secrets]
    if has_tunnels and not (CONF in site.ipsec.files and SECRETS in secrets):
        yield (
            ("ipsec",),
            "its tunnels are missing: write files = {{ ipsec.files }} and secrets = {{ ipsec.secrets }} in [ipsec]",
        )
