"""The files that a box has for its site: templates filled in, secrets fetched, the firewall's rules made.

Secrets are read here and nowhere before. They are refused where others could read them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from cygnet.firewall.policy import Policy

from cygnet_site import firewall, ipsec, ssh, timezone
from cygnet_site.errors import SiteError, problem
from cygnet_site.files import (
    DIRECTORIES,
    HOSTNAME,
    HOSTS,
    KEYS,
    LEASES,
    NETWORK,
    POLICY,
    PPPOE,
    ZONE,
    File,
    directories,
    error,
    read_text,
    secret,
)
from cygnet_site.fill import fill
from cygnet_site.model import Pppoe, Site
from cygnet_site.texts import Text

# What pppd of the box is told, and no more than it takes.
CREDENTIAL = re.compile(r"[ -~]{1,255}")
__all__ = ["DIRECTORIES", "File", "Made", "directories", "make", "render"]


class Made(NamedTuple):
    """What a site comes to: files by path, texts with their places, and the firewall's policy."""

    files: dict[str, File]
    texts: dict[str, Text]
    policy: Policy


def render(site: Site) -> dict[str, File]:
    """By path below the data partition: "etc/hostname", "root/.ssh/authorized_keys".

    Only what the site says something about. SiteError where a file that it names cannot be used, or a text in it.
    """
    return make(site).files


def make(site: Site) -> Made:
    """The same with what is needed to look at it."""
    files = {
        HOSTNAME: _filled("hostname", site=site),
        HOSTS: _filled("hosts", site=site),
        ZONE: _filled("TZ", zone=_zone(site)),
        NETWORK: _filled("network", site=site),
    }
    if any(lan.leases for lan in site.lans):
        files[LEASES] = _filled("leases", site=site)
    if site.wan and site.wan.pppoe:
        files[PPPOE] = _pppoe(site, site.wan.pppoe)
    keys: dict[str, str] = {}
    for key in _keys(site):
        keys.setdefault(ssh.blob(key), key)
    if keys:
        files[KEYS] = File("".join(f"{key}\n" for key in keys.values()).encode(), 0o600)
    texts = {POLICY: firewall.policy_text(site), **ipsec.texts(site)}
    policy = firewall.policy(texts[POLICY], files[NETWORK].content)
    files |= firewall.files(texts[POLICY], policy)
    files |= ipsec.files(site, {name: text for name, text in texts.items() if name != POLICY})
    return Made(files, texts, policy)


def _filled(template: str, **values: object) -> File:
    return File(fill(template, **values).encode())


def _zone(site: Site) -> str:
    try:
        return timezone.posix(site.timezone)
    except ValueError as told:
        raise error(site, ("timezone",), str(told)) from None


def _pppoe(site: Site, account: Pppoe) -> File:
    """User and password, a line each."""
    at = ("wan", "pppoe", "password")
    password = read_text(site, account.password.file, at, private=True).rstrip("\r\n")
    if not CREDENTIAL.fullmatch(password):
        raise error(site, at, f"{account.password.file}: a password is one line of printable ASCII, of 255 at most")
    return secret(f"{account.user}\n{password}\n".encode())


def _keys(site: Site) -> Iterator[str]:
    """Lines of authorized_keys."""
    for number, text in enumerate(site.ssh.keys):
        yield _key(text, problem(site.path, site.line("ssh", "keys", number), ""))
    for number, name in enumerate(site.ssh.key_files):
        found = [
            _key(text, problem(site.folder / name, line, ""))
            for line, text in enumerate(read_text(site, name, ("ssh", "key-files", number)).splitlines(), 1)
            if text.strip() and not text.lstrip().startswith("#")
        ]
        if not found:
            raise error(site, ("ssh", "key-files", number), f"{site.folder / name}: there is no key in it")
        yield from found


def _key(text: str, where: str) -> str:
    try:
        return ssh.public_key(text)
    except ValueError as told:
        raise SiteError.of([f"{where}{told}"]) from None
