"""The IPsec of a site: ipsec.conf, what it includes, policy groups, secrets, certificates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from cygnet_site.files import CONF, IPSEC, SECRETS, File, error, read, read_text, secret
from cygnet_site.fill import fill
from cygnet_site.model import KeyPath, Site
from cygnet_site.texts import Text

# Key of [ipsec], and the folder below ipsec.d where such files lie.
COPIED = {"certs": "certs", "ca-certs": "cacerts", "crls": "crls"}
MADE = "ipsec.conf made from the site"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*", re.ASCII)


def texts(site: Site) -> dict[str, Text]:
    """The texts of connections and secrets by name; ipsec.conf only where the site says something about it."""
    ipsec = site.ipsec
    found: dict[str, Text] = {}
    for number, file in enumerate(ipsec.files):
        at = ("ipsec", "files", number)
        name = _place(site, f"{IPSEC}/{_stem(file)}.conf", at, found)
        found[name] = Text(site, MADE)
        found[name].add_file(read_text(site, file, at), site.folder / file)
    if ipsec.config or ipsec.files:
        found[CONF] = conf = Text(site, MADE)
        conf.add_key(ipsec.config, ("ipsec", "config"))
        names = [name.removeprefix("etc/") for name in found if name != CONF]
        conf.add(fill("ipsec.conf", config=ipsec.config, included=names))
    if ipsec.secrets:
        found[SECRETS] = secrets = Text(site, MADE)
        for number, one in enumerate(ipsec.secrets):
            text = read_text(site, one.file, ("ipsec", "secrets", number), private=True)
            secrets.add_file(text, site.folder / one.file)
    return found


def files(site: Site, made: dict[str, Text]) -> dict[str, File]:
    """The texts and all other files of IPsec."""
    found = {name: (secret if name == SECRETS else File)(str(text).encode()) for name, text in made.items()}
    for name, networks in site.ipsec.policies.items():
        found[f"{IPSEC}/policies/{name}"] = File("".join(f"{network}\n" for network in networks).encode())
    for key, number, file, private in _copied(site):
        at = ("ipsec", key, number)
        folder = "private" if private else COPIED[key]
        place = _place(site, f"{IPSEC}/{folder}/{Path(file).name}", at, found)
        found[place] = (secret if private else File)(read(site, file, at, private))
    return found


def _copied(site: Site) -> Iterator[tuple[str, int, str, bool]]:
    ipsec = site.ipsec
    for key, names in (("certs", ipsec.certs), ("ca-certs", ipsec.ca_certs), ("crls", ipsec.crls)):
        yield from ((key, number, name, False) for number, name in enumerate(names))
    yield from (("private-keys", number, one.file, True) for number, one in enumerate(ipsec.private_keys))


def _stem(file: str) -> str:
    return Path(file).name.removesuffix(".conf")


def _place(site: Site, place: str, at: KeyPath, taken: dict[str, Text] | dict[str, File]) -> str:
    """Where a file comes to lie on the box, if it can be called so and no other is."""
    name = Path(place).name
    if not NAME.fullmatch(name):
        raise error(site, at, f"a file cannot be called {name[:60]!r} on the box: letters, digits, dots, hyphens only")
    if place in taken:
        raise error(site, at, f"another file would be /{place} on the box, too: give one of them another name")
    return place
