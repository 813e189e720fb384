"""What those who will read a site's files say about them: the firewall, iptables, our reader of ipsec.conf.

They get the files as the box will have them, in a directory of their own; what they say is told by the site's own
file and line where it can be.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from cygnet.connection.local import Local

from cygnet_site import render as rendering
from cygnet_site.errors import SiteError
from cygnet_site.model import Site
from cygnet_site.render import CONF, INCLUDED, NETWORK, RULES, SECRETS, File

# Where the kernel's own programs for this are; of the two kinds of iptables either will do.
SBIN = "/usr/sbin:/sbin"
# Stand-ins for what only a running box knows (RFC 2544).
DEFAULT_ADDRESS, DEFAULT_GATEWAY = IPv4Address("198.18.0.2"), IPv4Address("198.18.0.1")


def problems(site: Site) -> list[str]:
    """A sentence for each thing that is wrong; none if the box can be made."""
    try:
        files = rendering.render(site)
    except SiteError as error:
        return error.problems
    return [*_firewall(site, files), *_rules(site, files), *_ipsec(site, files)]


def _firewall(site: Site, files: dict[str, File]) -> Iterator[str]:
    """Lines that clash, and policies that let nobody in."""
    from cygnet.firewall.check import check

    renderer = rendering.Renderer(site)
    _, places = renderer.policy_text()
    for clash in check(renderer.policy(files[NETWORK].content)).clashes:
        told = places.told(clash)
        yield told if told != clash else f"{site.path}:{site.line('firewall')}: {clash.partition(': ')[2]}"


def _rules(site: Site, files: dict[str, File]) -> Iterator[str]:
    """Whether iptables takes the rules. Without it, or without the right to ask the kernel, nothing is said."""
    for command, name in (("iptables-restore", "rules.v4"), ("ip6tables-restore", "rules.v6")):
        program = shutil.which(command, path=f"{os.environ.get('PATH', '')}:{SBIN}")
        if program and os.geteuid() == 0:
            content = files[f"{RULES}/{name}"].content
            done = subprocess.run([program, "--test"], input=content, capture_output=True, timeout=60, check=False)
            if done.returncode:
                said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it does not say why"]
                where = f"{site.path}:{site.line('firewall')}"
                yield f"{where}: {command} does not take the rules of this policy: {said[-1]}"


def _ipsec(site: Site, files: dict[str, File]) -> Iterator[str]:
    """ipsec.conf and ipsec.secrets, laid as on the box."""
    from cygnet.conf import load, load_secrets

    ours = {name: file for name, file in files.items() if name in (CONF, SECRETS) or name.startswith(f"{INCLUDED}/")}
    if not ours:
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, file in ours.items():
            place = Path(folder, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch(0o600)
            place.write_bytes(file.content)
        found = list(load(Path(folder, CONF), _local(site), _stand_in).problems) if CONF in files else []
        if SECRETS in files:
            found += load_secrets(Path(folder, SECRETS), _stand_in).problems
        told = _Told(site, folder)
        yield from (told(sentence) for sentence in found)


def _local(site: Site) -> Local:
    wan = site.wan.address if site.wan else None
    own = wan.ip if isinstance(wan, IPv4Interface) else DEFAULT_ADDRESS
    device = site.wan.device if site.wan else ""
    addresses = {lan.device: [lan.address.ip] for lan in site.lans} | ({device: [own]} if device else {})
    gateway = site.wan.gateway if site.wan and site.wan.gateway else DEFAULT_GATEWAY
    return Local(addresses, device, gateway if device else None, own if device else None)


def _stand_in(name: str) -> list[IPv4Address]:
    """An address for a name, always the same: names are looked up on the box, when they are needed."""
    return [IPv4Address(int(IPv4Address("198.19.0.0")) + int.from_bytes(sha256(name.encode()).digest()[:2]))]


class _Told:
    """Turns places in the files of the box into those in the files that a person wrote."""

    def __init__(self, site: Site, folder: str) -> None:
        self.site, self.folder = site, folder

    def __call__(self, sentence: str) -> str:
        return sentence
