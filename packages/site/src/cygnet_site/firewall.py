"""The firewall of a site: its policy, and the rules that a boot loads for it, long before Python runs.

Policy and network go through the firewall's own reader, so the rules are those that `ipsec firewall` would make.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from cygnet.errors import CygnetError
from cygnet.firewall.files import DESCRIPTION
from cygnet.firewall.policy import Policy
from cygnet.firewall.read import parse
from cygnet.firewall.render import render
from cygnet.firewall.settings import read_settings

from cygnet_site.errors import SiteError
from cygnet_site.files import POLICY, RULES, File, read_text
from cygnet_site.fill import fill
from cygnet_site.model import Site
from cygnet_site.texts import Text, told


def policy_text(site: Site) -> Text:
    """The whole policy: the site's own or the stock one, and its port forwards."""
    text, firewall = Text(site, "the stock policy"), site.firewall
    if firewall.policy:
        text.add_key(firewall.policy, ("firewall", "policy"))
    elif firewall.file:
        at = ("firewall", "file")
        text.add_file(read_text(site, firewall.file, at), site.folder / firewall.file)
    else:
        text.add(fill("firewall", site=site, inside=",".join(zone for _, zone, _ in site.networks)))
    text.add_key(firewall.extra, ("firewall", "extra"))
    for number, one in enumerate(site.forwards):
        sources = f" from {' '.join(map(str, one.sources))}" if one.sources else ""
        text.add_key(f"forward wan {one.service} to {one.to}{sources}", ("forward", number))
    return text


def policy(text: Text, network: bytes) -> Policy:
    """What the text means beside ``network``, the box's settings. Errors are told by the lines that were written."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "network")
        file.write_bytes(network)
        settings = read_settings(file)
    try:
        return parse(str(text).encode(), POLICY, settings)
    except CygnetError as error:
        raise SiteError.of([told(line, {POLICY: text}) for line in str(error).splitlines()]) from None


def files(text: Text, meant: Policy) -> dict[str, File]:
    """The policy, the rules, and beside them the text that they are from."""
    made = {POLICY: str(text), f"{RULES}/{DESCRIPTION}": str(text)}
    made |= {f"{RULES}/{name}": rules for name, rules in render(meant).items()}
    return {name: File(content.encode()) for name, content in made.items()}
