"""``ipsec mailkey``: a mail with this host's public key, and what its reader is to do with it. Nothing is sent.

Without --forward and --reverse the mail is for the administrator of a tunnel's other end. With one of them it is for
the administrator of a DNS zone, and asks for the TXT record of opportunistic encryption: for a host name
(--forward), with which a host can only begin, or for an address (--reverse), at which it can be called. Public keys
are no secrets; but whoever changes one on the way can be the other end, so the mail says how to compare it.

    ipsec mailkey --me you@example.org --to peer@example.com | sendmail -t
    ipsec mailkey --me you@example.org --reverse 192.0.2.1
"""

from __future__ import annotations

from pathlib import Path

from cygnet.cli import confdir
from cygnet.cli.options import Options, UsageError, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cygnet.cli.hostkeys import HostKey

USAGE = ("ipsec mailkey --me address [--to address] [--forward hostname|--reverse ipaddress] [--file secretfile]",)
OPTIONS: Options = (
    ("--me", "ADDRESS", "your own mail address"),
    ("--to", "ADDRESS", "whom the mail is for; to be filled in, without"),
    ("--forward", "HOSTNAME", "for the DNS administrator of this name"),
    ("--reverse", "IPADDRESS", "for the DNS administrator of this address"),
    ("--id", "IDENTITY", "the key with this label, instead of the one without"),
    ("--file", "FILE", "another file than /etc/ipsec.secrets"),
)
NOBODY = "FILL-IN@example.invalid"
HEAD = """\
From: {me}
To: {to}
Reply-To: {me}
Subject: {subject}

Hello,

"""
FOR_PEER = """\
this is the public key of my IPsec gateway {host}. Please put it into the connection
between us, in /etc/ipsec.conf of your gateway, and load it: ipsec auto --replace NAME

{lines}

It says left; where my gateway is right in your file, write right. Then send me what
"ipsec showhostkey --right" prints on your gateway, by "ipsec mailkey" for example.
"""
FOR_ZONE = """\
my IPsec gateway publishes its public key in DNS. Please add this record to the zone
of {name}, with spaces and quotation marks exactly as they are:

{lines}

"""
CHECK = """
A public key is no secret, but somebody could have changed this one on its way. Please
read me this over the telephone before you use it; it is the SHA-256 of the key:

{digest}

What you received has the same if this prints it, with the key after its 0s:

    echo KEY | base64 -d | sha256sum
"""


def run(words: list[str]) -> int:
    """The command."""
    given, _ = parse("ipsec mailkey", USAGE, OPTIONS, words)
    if "--me" not in given or {"--forward", "--reverse"} <= given.keys():
        raise UsageError("\n       ".join(["usage: " + USAGE[0], *USAGE[1:]]))
    me, to = (_mail(name, given.get(name, NOBODY)) for name in ("--me", "--to"))
    gateway, name = _record(given)
    from cygnet.cli.hostkeys import pick
    from cygnet.cli.showhostkey import shown

    key = pick(Path(given.get("--file", f"{confdir()}/ipsec.secrets")), given.get("--id", ""))
    if gateway:
        subject, body = f"a DNS record for {name}", FOR_ZONE
        lines = shown("--txt", key, gateway, "")[-1].strip()
        lines = f"{name} {lines}"
    else:
        subject, body = f"public key of the IPsec gateway {key.host}", FOR_PEER
        lines = "\n".join(shown("--left", key, "", ""))
    text = HEAD + body + CHECK
    print(
        text.format(me=me, to=to, subject=subject, host=key.host, name=name, lines=lines, digest=_digest(key)), end=""
    )
    return 0


def _mail(option: str, text: str) -> str:
    """One address, which can be nothing else in a mail's head."""
    import re

    if not re.fullmatch(r"[\w.!#$%&'*+/=?^{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}", text, re.ASCII):
        raise UsageError(f"ipsec mailkey: {option} is a mail address, not {text!a}")
    return text


def _record(given: dict[str, str]) -> tuple[str, str]:
    """The gateway that the TXT record names, and the record's own name; "" without a record."""
    from ipaddress import IPv4Address

    from cygnet.cli.showhostkey import is_name

    if "--forward" in given:
        if not is_name(given["--forward"]):
            raise UsageError(f"ipsec mailkey: --forward is a host name, not {given['--forward']!a}")
        return f"@{given['--forward'].rstrip('.')}", f"{given['--forward'].rstrip('.')}."
    if "--reverse" not in given:
        return "", ""
    try:
        address = IPv4Address(given["--reverse"])
    except ValueError:
        raise UsageError(f"ipsec mailkey: --reverse is an IPv4 address, not {given['--reverse']!a}") from None
    return str(address), f"{address.reverse_pointer}."


def _digest(key: HostKey) -> str:
    """In groups that can be read aloud."""
    import hashlib

    digits = hashlib.sha256(key.public.blob).hexdigest()
    return " ".join(digits[at : at + 8] for at in range(0, len(digits), 8))
