"""The files that a box has for its site: templates filled in, secrets fetched, the firewall's rules made.

Secrets are read here and nowhere before. They are refused where others could read them.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cygnet.conf.error import ConfError
from cygnet.conf.text import read_bounded
from cygnet.errors import CygnetError

from cygnet_site import ssh, timezone
from cygnet_site.errors import SiteError, problem
from cygnet_site.model import KeyPath, Pppoe, Site
from cygnet_site.rules import zone_names

if TYPE_CHECKING:
    from cygnet.firewall.policy import Policy
    from jinja2 import Environment

MAX_SECRET = 1 << 20
TEMPLATES = Path(__file__).with_name("templates")
HOSTNAME, HOSTS, ZONE = "etc/hostname", "etc/hosts", "etc/TZ"
NETWORK, LEASES, PPPOE = "etc/cygnet/network", "etc/cygnet/leases", "etc/cygnet/pppoe"
POLICY, RULES = "etc/cygnet/firewall", "etc/cygnet/firewall.rules"
CONF, INCLUDED, GROUPS, SECRETS = "etc/ipsec.conf", "etc/ipsec.d", "etc/ipsec.d/policies", "etc/ipsec.secrets"
KEYS = "root/.ssh/authorized_keys"
# Of directories that are not 0755.
DIRECTORIES = {"root": 0o700, "root/.ssh": 0o700}


class File(NamedTuple):
    """A file of a box. ``secret``: never to be shown."""

    content: bytes
    mode: int = 0o644
    secret: bool = False


def render(site: Site) -> dict[str, File]:
    """By path below the data partition: "etc/hostname", "root/.ssh/authorized_keys".

    Only what the site says something about. SiteError where a file that it names cannot be used, or a text in it.
    """
    return Renderer(site).files()


class Renderer:
    """One site."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.templates = _environment()

    def files(self) -> dict[str, File]:
        site = self.site
        found = {
            HOSTNAME: self.fill("hostname"),
            HOSTS: self.fill("hosts"),
            ZONE: self.fill("TZ", zone=self.zone()),
            NETWORK: self.fill("network", wan_address=site.wan.address if site.wan else "none"),
        }
        if any(lan.leases for lan in site.lans):
            found[LEASES] = self.fill("leases")
        if site.wan and site.wan.pppoe:
            found[PPPOE] = self.pppoe(site.wan.pppoe)
        found |= self.firewall(found[NETWORK].content)
        found |= self.ipsec()
        if keys := self.keys():
            found[KEYS] = File("".join(f"{key}\n" for key in keys).encode(), 0o600)
        return found

    def fill(self, name: str, **more: object) -> File:
        """A template with the site's values."""
        text = self.templates.get_template(f"{name}.j2").render(site=self.site, zones=zone_names(self.site), **more)
        return File(text.encode())

    def zone(self) -> str:
        try:
            return timezone.posix(self.site.timezone)
        except ValueError as error:
            raise self.error(("timezone",), str(error)) from None

    def pppoe(self, account: Pppoe) -> File:
        """User and password, a line each."""
        at = ("wan", "pppoe", "password")
        password = self.secret(account.password.file, at).decode("utf-8", "replace").rstrip("\r\n")
        if not password.strip() or not password.isprintable():
            raise self.error(at, f"{account.password.file} does not hold one line of text: write the password into it")
        return File(f"{account.user}\n{password}\n".encode(), 0o600, True)

    def firewall(self, network: bytes) -> dict[str, File]:
        """The policy, and the rules that a boot loads for it."""
        from cygnet.firewall.files import DESCRIPTION
        from cygnet.firewall.render import render as rules_of

        text, _ = self.policy_text()
        data = text.encode()
        rules = {name: rule.encode() for name, rule in rules_of(self.policy(network)).items()}
        made = {f"{RULES}/{name}": File(rule) for name, rule in rules.items()}
        return {POLICY: File(data), f"{RULES}/{DESCRIPTION}": File(data), **made}

    def policy(self, network: bytes) -> Policy:
        """What the policy means. The firewall's errors are told by the lines where the words stand."""
        from cygnet.firewall.read import parse
        from cygnet.firewall.settings import read_settings

        text, places = self.policy_text()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "network")
            file.write_bytes(network)
            settings = read_settings(file)
        try:
            return parse(text.encode(), POLICY, settings)
        except CygnetError as error:
            raise SiteError.of([places.told(line) for line in str(error).splitlines()]) from None

    def policy_text(self) -> tuple[str, Places]:
        """The text for the box, and where each of its lines comes from."""
        places = Places(self.site)
        firewall = self.site.firewall
        if firewall.policy:
            places.add(firewall.policy, ("firewall", "policy"))
        elif firewall.file:
            places.add_file(self.read(firewall.file, ("firewall", "file")), firewall.file)
        else:
            places.add(self.fill("firewall").content.decode(), ())
            if firewall.extra:
                places.add(firewall.extra, ("firewall", "extra"))
        for number, forward in enumerate(self.site.forwards):
            sources = f" from {' '.join(map(str, forward.sources))}" if forward.sources else ""
            places.add(f"forward wan {forward.service} to {forward.to}{sources}", ("forward", number))
        return places.text, places

    def ipsec(self) -> dict[str, File]:
        ipsec, found = self.site.ipsec, {}
        names: dict[str, str] = {}
        for number, file in enumerate(ipsec.files):
            at = ("ipsec", "files", number)
            name = f"{INCLUDED}/{_conf_name(file)}"
            if name in found:
                raise self.error(at, f"{file} and {names[name]} would both be {name} on the box: rename one of them")
            names[name] = file
            found[name] = File(self.read(file, at).encode())
        if ipsec.config or ipsec.files:
            found[CONF] = self.fill("ipsec.conf", included=[_conf_name(file) for file in ipsec.files])
        for name, networks in ipsec.policies.items():
            found[f"{GROUPS}/{name}"] = File("".join(f"{network}\n" for network in networks).encode())
        parts = [self.secret(one.file, ("ipsec", "secrets", number)) for number, one in enumerate(ipsec.secrets)]
        if parts:
            found[SECRETS] = File(
                b"".join(part if part.endswith(b"\n") else part + b"\n" for part in parts), 0o600, True
            )
        return found

    def keys(self) -> list[str]:
        """Lines of authorized_keys, no key twice."""
        found: dict[str, str] = {}
        for number, text in enumerate(self.site.ssh.keys):
            key = self.key(text, problem(self.site.path, self.site.line("ssh", "keys", number), ""))
            found.setdefault(ssh.blob(key), key)
        for number, name in enumerate(self.site.ssh.key_files):
            for line, text in enumerate(self.read(name, ("ssh", "key-files", number)).splitlines(), 1):
                if text.strip() and not text.lstrip().startswith("#"):
                    key = self.key(text, problem(self.site.folder / name, line, ""))
                    found.setdefault(ssh.blob(key), key)
        return list(found.values())

    def key(self, text: str, where: str) -> str:
        try:
            return ssh.public_key(text)
        except ValueError as error:
            raise SiteError.of([f"{where}{error}"]) from None

    def read(self, name: str, at: KeyPath) -> str:
        """A file that the site names, as text."""
        return self.bytes(name, at, private=False).decode("utf-8", "replace")

    def secret(self, name: str, at: KeyPath) -> bytes:
        """A file that nobody but its owner can read."""
        return self.bytes(name, at, private=True)

    def bytes(self, name: str, at: KeyPath, private: bool) -> bytes:
        try:
            data = read_bounded(self.site.folder / name, MAX_SECRET, private)
        except ConfError as error:
            raise self.error(at, str(error)) from None
        if b"\0" in data:
            raise self.error(at, f"{name} holds NUL bytes, so it is no text")
        return data

    def error(self, at: KeyPath, sentence: str) -> SiteError:
        return SiteError(self.site.path, self.site.line(*at), sentence)


class Places:
    """A text that is put together, and where its lines stand."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.lines: list[tuple[str, str]] = []

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(f"{line}\n" for line, _ in self.lines)

    def add(self, text: str, at: KeyPath) -> None:
        """Text that stands in the site file, or is made for what stands there."""
        for number, line in enumerate(text.splitlines(), 1):
            self.lines.append((line, f"{self.site.path}:{self.site.lines.of_text(at, number)}"))

    def add_file(self, text: str, name: str) -> None:
        """A whole file."""
        for number, line in enumerate(text.splitlines(), 1):
            self.lines.append((line, f"{self.site.folder / name}:{number}"))

    def told(self, sentence: str) -> str:
        """An error with its places in the text replaced by those where the lines come from."""
        return re.sub(rf"{re.escape(POLICY)}:(\d+)", lambda match: self.lines[int(match[1]) - 1][1], sentence)


def _conf_name(file: str) -> str:
    return f"{Path(file).stem}.conf"


def _environment() -> Environment:
    """Strict: a template that asks for what there is not is an error of ours, not an empty line on a box."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # Nothing here is HTML: what each value may hold is checked where it is read.
    return Environment(  # noqa: S701
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip


def directories(paths: Iterator[str]) -> dict[str, int]:
    """The directories above files of a box, with the mode of each; parents first."""
    found = {str(parent) for path in paths for parent in Path(path).parents}
    return {name: DIRECTORIES.get(name, 0o755) for name in sorted(found - {"."})}
