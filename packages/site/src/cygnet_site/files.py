"""Files of a box, and the files that a site names: the only place where these are read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from cygnet.conf.error import ConfError
from cygnet.conf.text import read_bounded

from cygnet_site.errors import SiteError
from cygnet_site.model import KeyPath, Site

MAX_FILE = 1 << 20
HOSTNAME, HOSTS, ZONE = "etc/hostname", "etc/hosts", "etc/TZ"
NETWORK, LEASES, PPPOE = "etc/cygnet/network", "etc/cygnet/leases", "etc/cygnet/pppoe"
POLICY, RULES = "etc/cygnet/firewall", "etc/cygnet/firewall.rules"
CONF, SECRETS, IPSEC = "etc/ipsec.conf", "etc/ipsec.secrets", "etc/ipsec.d"
KEYS = "root/.ssh/authorized_keys"
# Directories that are not 0755. /etc of a box is an overlay: the mode that is written there counts.
DIRECTORIES = {"root": 0o700, "root/.ssh": 0o700, "etc/ipsec.d/private": 0o700}


class File(NamedTuple):
    """A file of a box. ``secret``: never to be shown."""

    content: bytes
    mode: int = 0o644
    secret: bool = False


def secret(content: bytes) -> File:
    """A file for root's eyes only."""
    return File(content, 0o600, True)


def directories(paths: Iterable[str]) -> dict[str, int]:
    """The directories above files of a box, each with its mode; parents come first."""
    found = {str(parent) for path in paths for parent in Path(path).parents}
    return {name: DIRECTORIES.get(name, 0o755) for name in sorted(found - {"."})}


def error(site: Site, at: KeyPath, sentence: str) -> SiteError:
    """Something that is wrong with what a key says."""
    return SiteError(site.path, site.line(*at), sentence)


def read(site: Site, name: str, at: KeyPath, private: bool = False) -> bytes:
    """A file that the key at ``at`` names. ``private``: only if nobody but its owner can read it."""
    try:
        return read_bounded(site.folder / name, MAX_FILE, private)
    except ConfError as problem:
        how = " (umask 077; then write it)" if private else ""
        remedy = f": make it{how}, or name another; names are relative to {site.path}"
        told = str(problem)
        raise error(site, at, told + remedy if told.endswith("no such file") else told) from None


def read_text(site: Site, name: str, at: KeyPath, private: bool = False) -> str:
    """The same for a file of text."""
    data = read(site, name, at, private)
    if b"\0" in data:
        raise error(site, at, f"{site.folder / name}: holds NUL bytes, so it is no text")
    return data.decode("utf-8", "replace")
