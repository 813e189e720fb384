"""``ipsec secrets``: has the daemon read ipsec.secrets(5) anew, and lists who has which kind of secret.

The same as ipsec auto --rereadsecrets, as in FreeS/WAN 2.x, after a list of the file's entries: place, kind, and the
identities that an entry is for. No secret is printed, nor its length, nor anything made of it; of an RSA key there is
the size, and the short name of its public half.

Exit status: 0, 1 if an entry was left out or the daemon does not run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cygnet.cli import confdir
from cygnet.cli.options import Options, parse
from cygnet.connection.identity import Identity
from cygnet.connection.secret import ANY_IPV6, Secrets

USAGE = ("ipsec secrets [--list] [--file secretfile] [--ctlbase path]",)
OPTIONS: Options = (
    ("--list", "", "list the entries, and do not tell the daemon"),
    ("--file", "FILE", "list those of another file than /etc/ipsec.secrets"),
    ("--ctlbase", "PATH", "the daemon's socket is PATH.ctl"),
)


def run(words: list[str]) -> int:
    """The command."""
    given, _ = parse("ipsec secrets", USAGE, OPTIONS, words)
    from cygnet.conf import load_secrets

    found = load_secrets(Path(given.get("--file", f"{confdir()}/ipsec.secrets")))
    print("\n".join([*listed(found), *found.problems]), flush=True)
    status = int(bool(found.problems))
    if "--list" in given or "--file" in given:
        return status
    from cygnet.cli.auto import send

    return send({"command": "rereadsecrets"}, given, hide_log=True) or status


def listed(secrets: Secrets) -> Iterator[str]:
    """A line for each entry: where it stands, its kind, whom it is for."""
    for shared in secrets.preshared:
        yield f"{shared.where}: PSK for {_names(shared.indices)}"
    for entry in secrets.private:
        public = entry.key.public
        yield f"{entry.where}: RSA {public.bits} bits, key {public.key_id}, for {_names(entry.indices)}"


def _names(indices: tuple[Identity | None, ...]) -> str:
    names = {None: "%any", ANY_IPV6: "%any6"}
    return " ".join(names.get(index) or str(index) for index in indices) or "everyone"
