"""``ipsec showhostkey``: this host's public key, as others need it: for their ipsec.conf(5), or for DNS.

The key is one of ipsec.secrets(5): the one that --id names, else the one without a label, else the only one. Nothing
of its private half is shown. --ipseckey is RFC 4025; the other two records are those of FreeS/WAN's time.

    ipsec showhostkey --left
    ipsec showhostkey --txt 192.0.2.1 --for 203.0.113.5
"""

from __future__ import annotations

from pathlib import Path

from cygnet.cli import confdir
from cygnet.cli.options import Options, UsageError, number, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cygnet.cli.hostkeys import HostKey

USAGE = (
    "ipsec showhostkey [--key|--left|--right|--txt gateway|--ipseckey|--list] [--for host] [--id identity] "
    "[--file secretfile]",
)
OPTIONS: Options = (
    ("--key", "", "a KEY record for a zone file (the default)"),
    ("--left", "", "leftid= and leftrsasigkey= for ipsec.conf"),
    ("--right", "", "rightid= and rightrsasigkey= for ipsec.conf"),
    ("--txt", "GATEWAY", "a TXT record that names the gateway: its IPv4 address, or @name"),
    ("--ipseckey", "", "an IPSECKEY record (RFC 4025)"),
    ("--gateway", "GATEWAY", "with --ipseckey: the gateway's address or name, . for none"),
    ("--precedence", "NUMBER", "with --ipseckey: 0 to 255, 10 without"),
    (
        "--for",
        "HOST",
        "whose record it is: a name, or an address for the reverse map; without, that in the key's comment",
    ),
    ("--list", "", "one line for each key of the file"),
    ("--id", "IDENTITY", "the key with this label, instead of the one without"),
    ("--file", "FILE", "another file than /etc/ipsec.secrets"),
)
FORMATS = ("--key", "--left", "--right", "--txt", "--ipseckey", "--list")
LONGEST_STRING = 255  # of a TXT record (RFC 1035, section 3.3.14)


def run(words: list[str]) -> int:
    """The command."""
    given, _ = parse("ipsec showhostkey", USAGE, OPTIONS, words)
    formats = [name for name in FORMATS if name in given] or ["--key"]
    if len(formats) > 1:
        raise UsageError(f"ipsec showhostkey: {' and '.join(formats)} exclude each other")
    checks, owner = _record_options(given), _owner(given.get("--for", ""))
    from cygnet.cli.hostkeys import describe, keys_of, pick

    path = Path(given.get("--file", f"{confdir()}/ipsec.secrets"))
    if formats[0] == "--list":
        print("\n".join(_listed(describe(entry), entry.where) for entry in keys_of(path)))
        return 0
    key = pick(path, given.get("--id", ""))
    print("\n".join(shown(formats[0], key, given.get("--txt", ""), checks, owner)))
    return 0


def shown(form: str, key: HostKey, txt: str, ipseckey: str, owner: str = "") -> list[str]:
    """A key in one of FORMATS. ``txt``: the gateway, ``ipseckey``: what stands before the key, in such a record.

    ``owner``: the record's name; "" is the host's own, and none for TXT, of which a gateway has many.
    """
    from cygnet.cli.hostkeys import public_text

    text = public_text(key.public)
    name = owner or key.host.rstrip(".") + "."
    if form in ("--left", "--right"):
        side = form[2:]
        identity = key.identity or (f"@{key.host}" if "." in key.host else "")
        comment = [f"\t# {key.comment}"] if key.comment else []
        return [*comment, *([f"\t{side}id={identity}"] if identity else []), f"\t{side}rsasigkey=0s{text}"]
    comment = [f"; {key.comment}"] if key.comment else []
    if form == "--txt":
        return [*comment, f"{owner}\tIN\tTXT\t" + _strings(f"X-IPsec-Server(10)={txt}", text)]
    if form == "--ipseckey":
        return [*comment, f"{name}\tIN\tIPSECKEY\t{ipseckey} {text}"]
    return [*comment, f"{name}\tIN\tKEY\t16896 4 1 {text}"]


def _listed(key: HostKey, where: str) -> str:
    """Never the private numbers: identity, size, the key's short name, host, place."""
    return f"{key.identity or '(default)'}  RSA {key.public.bits} bits  {key.public.key_id}  {key.host}  {where}"


def _strings(head: str, key: str) -> str:
    """Split where a string of the record is full, the first time before the key."""
    if len(head) + 1 + len(key) <= LONGEST_STRING:
        return f'"{head} {key}"'
    rest = " " + key
    parts = [head, *(rest[at : at + LONGEST_STRING] for at in range(0, len(rest), LONGEST_STRING))]
    return " ".join(f'"{part}"' for part in parts)


def _record_options(given: dict[str, str]) -> str:
    """Refuses what would not be a record; returns what stands before the key in an IPSECKEY record."""
    if "--txt" in given and not (given["--txt"].startswith("@") and is_name(given["--txt"][1:])):
        _address("--txt", given["--txt"], 4)
    precedence = number("ipsec showhostkey", "--precedence", given.get("--precedence", "10"), range(256))
    gateway = given.get("--gateway", ".")
    kind = 0 if gateway == "." else 3 if is_name(gateway) else 2 if ":" in gateway else 1
    if kind in (1, 2):
        _address("--gateway", gateway, 4 if kind == 1 else 6)
    return f"{precedence} {kind} 2 {gateway}"


def _owner(host: str) -> str:
    from ipaddress import ip_address

    try:
        return ip_address(host).reverse_pointer + "."
    except ValueError:
        if host and not is_name(host):
            raise UsageError(f'ipsec showhostkey: --for is an address or a name, not "{host}"') from None
        return host and host.rstrip(".") + "."


def is_name(text: str) -> bool:
    """Whether it can be a host's name, and is no address."""
    return text.replace("-", "").replace(".", "").isalnum() and text.isascii() and not text.replace(".", "").isdecimal()


def _address(option: str, text: str, version: int) -> None:
    from ipaddress import ip_address

    try:
        if ip_address(text).version == version:
            return
    except ValueError:
        pass
    raise UsageError(f'ipsec showhostkey: {option} is an address or a name, not "{text}"')
