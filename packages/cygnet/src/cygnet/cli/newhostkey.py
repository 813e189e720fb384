"""``ipsec newhostkey``: an RSA key in the form of ipsec.secrets(5).

Without --output it goes to standard output, so that ``ipsec newhostkey > /etc/ipsec.secrets`` does what it says; a
file that standard output leads to is closed to others first, whatever the umask was.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

from cygnet.cli.options import Options, parse
from cygnet.cli.rsasigkey import generate
from cygnet.errors import CygnetError

USAGE = ("ipsec newhostkey [--output file] [--bits n] [--hostname host] [--quiet]",)
OPTIONS: Options = (
    ("--output", "FILE", "where to (mode 0600; what it holds stays before the new key); - is standard output"),
    ("--bits", "NUMBER", "size of the key, 3072 without"),
    ("--hostname", "HOST", "name to label it with, instead of this host's"),
    ("--quiet", "", "no word on standard error"),
    ("--verbose", "", "accepted; it is the default"),
)
DEFAULT_BITS = "3072"  # what NIST and BSI ask of keys that are to live on; FreeS/WAN's 2192 can be had by --bits


def run(words: list[str]) -> int:
    """The command."""
    given, _ = parse("ipsec newhostkey", USAGE, OPTIONS, words)
    output, verbose = given.get("--output", "-"), "--quiet" not in given
    if output == "-" and stat.S_ISREG(os.fstat(1).st_mode):
        with suppress(PermissionError):
            os.fchmod(1, 0o600)
    if output != "-" and verbose and _size(output):
        print(f"ipsec newhostkey: WARNING: file `{output}' exists, the key is put after what it holds", file=sys.stderr)
    text = _entry(given, verbose)
    if output == "-":
        sys.stdout.write(text)
    else:
        _append(Path(output), text)
    return 0


def _entry(given: dict[str, str], verbose: bool) -> str:
    key = generate("ipsec newhostkey", given.get("--bits", DEFAULT_BITS), verbose)
    from cygnet.cli.hostkeys import key_text

    numbers = key_text(key, given.get("--hostname", ""))
    return "\n".join([": RSA\t{", *numbers, "\t}", '# do not change the indenting of that "}"', ""])


def _size(output: str) -> int:
    path = Path(output)
    return path.stat().st_size if path.exists() else 0


def _append(path: Path, text: str) -> None:
    """Whole or not at all, even if the power goes: a new file beside it takes its place."""
    path = path.resolve()
    new = path.with_name(f"{path.name}.new.{os.getpid()}")
    try:
        before = path.read_bytes() if path.exists() else b""
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(file, "wb") as stream:
            stream.write(before + (b"\n" if before and not before.endswith(b"\n") else b"") + text.encode())
            stream.flush()
            os.fsync(file)
        new.replace(path)
    except OSError as problem:
        raise CygnetError(f"{problem.filename or path}: {problem.strerror}; no key was written") from None
    finally:
        new.unlink(missing_ok=True)
