"""What those who will read a site's files say about them: the firewall, iptables, our reader of ipsec.conf.

They get the files as the box will have them, in a directory of their own; what they say is told by the file and line
that a person wrote.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from cygnet.connection.local import Local

from cygnet_site.errors import SiteError
from cygnet_site.files import CONF, IPSEC, POLICY, RULES, SECRETS
from cygnet_site.model import Site
from cygnet_site.render import Made, make
from cygnet_site.texts import told

# Stand-ins for what only a running box knows (RFC 2544).
DEFAULT_ADDRESS, DEFAULT_GATEWAY = IPv4Address("198.18.0.2"), IPv4Address("198.18.0.1")


def problems(site: Site) -> list[str]:
    """A sentence for each thing that is wrong; none if the box can be made."""
    try:
        made = make(site)
    except SiteError as error:
        return error.problems
    return problems_of(site, made)


def problems_of(site: Site, made: Made) -> list[str]:
    """The same where it is made already."""
    return [*_clashes(site, made), *_refused(site, made), *_ipsec(site, made)]


def _clashes(site: Site, made: Made) -> Iterator[str]:
    """Lines of the policy that clash, and policies that let nobody in."""
    from cygnet.firewall.check import check

    for clash in check(made.policy).clashes:
        yield told(clash, made.texts).replace(f"{POLICY}: ", f"{site.path}:{site.line('firewall')}: ", 1)


def _refused(site: Site, made: Made) -> Iterator[str]:
    """What iptables does not take of the rules."""
    from cygnet.firewall.load import refusals

    rules = {
        name.rpartition("/")[2]: file.content.decode() for name, file in made.files.items() if name.startswith(RULES)
    }
    for refusal in refusals(rules):
        sentence, _, number = refusal.removesuffix(" of the policy)").rpartition(" (line ")
        known = sentence and number.isdecimal()
        where = made.texts[POLICY].place(int(number)) if known else f"{site.path}:{site.line('firewall')}"
        yield f"{where}: {sentence if known else refusal}"


def _ipsec(site: Site, made: Made) -> Iterator[str]:
    """ipsec.conf and ipsec.secrets, laid as on the box."""
    ours = {name: file for name, file in made.files.items() if name in (CONF, SECRETS) or name.startswith(IPSEC)}
    if not ours:
        return
    from cygnet.conf import load, load_secrets

    with tempfile.TemporaryDirectory() as folder:
        for name, file in ours.items():
            place = Path(folder, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch(0o600)
            place.write_bytes(file.content)
        found: list[str] = []
        if CONF in ours:
            found += load(Path(folder, CONF), _local(site), _stand_in).problems
        if SECRETS in ours:
            found += load_secrets(Path(folder, SECRETS), _stand_in).problems
    where = f"{site.path}:{site.line('ipsec')}: "
    for sentence in found:
        plain = told(sentence.replace(f"{folder}/", ""), made.texts)
        yield where + plain if plain.startswith("etc/") else plain


def _local(site: Site) -> Local:
    """The box when it runs, as far as its site says."""
    devices = {lan.device: [lan.address.ip] for lan in site.lans}
    if not site.wan:
        return Local(devices)
    own = site.wan.address.ip if isinstance(site.wan.address, IPv4Interface) else DEFAULT_ADDRESS
    return Local({**devices, site.wan.device: [own]}, site.wan.device, site.wan.gateway or DEFAULT_GATEWAY, own)


def _stand_in(name: str) -> list[IPv4Address]:
    """An address for a name, always the same: names are looked up on the box, when they are needed."""
    return [IPv4Address("198.19.0.0") + int.from_bytes(sha256(name.encode()).digest()[:2])]
