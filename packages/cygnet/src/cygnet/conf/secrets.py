"""ipsec.secrets(5): entries of indices and a secret, each beginning at the left margin and going on indented.

A bad entry is left out with a problem that never shows what stands in it. One whose index cannot be read is left out
whole: without that index it would serve others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cygnet.conf.error import ConfError, Problems
from cygnet.conf.hosts import identity
from cygnet.conf.resolve import Resolver
from cygnet.conf.text import Files, Line, read_bounded
from cygnet.conf.values import Scope, to_data
from cygnet.connection.connection import Address
from cygnet.connection.identity import Identity
from cygnet.connection.local import Local
from cygnet.connection.secret import ANY_IPV6, Indices, PresharedKey, RsaSecret, Secrets

if TYPE_CHECKING:
    from cygnet.crypto.rsa import PrivateKey

MAX_INDICES = 100
MAX_NUMBER = 1024
MAX_KEY_FILE = 64 << 10
UNSUPPORTED = {"pin": "smart cards", "xauth": "XAUTH", "ecdsa": "ECDSA keys", "pkcs12": "PKCS #12 files"}
# What comes after these words may be shown: a file's name, a public number.
PUBLIC = ("rsa", "modulus", "publicexponent")
_TOKEN = re.compile(r"""[ \t]+|(?P<comment>\#.*)|(?P<quoted>"[^"]*"|'[^']*')|(?P<word>0t.*|[^ \t]+)""")
Entry = tuple[Line, list[str]]


class Quoted(str):
    """A word that stood in quotes, without them."""

    __slots__ = ()


def load_secrets(path: Path, resolve: Callable[[str], Sequence[Address]] | None = None) -> Secrets:
    """Read ``path``; what cannot be used is in the ``problems`` of the result."""
    problems = Problems()
    reader = _Reader(Scope(Local(), path.parent, resolve or Resolver()), problems)
    try:
        for line, tokens in _entries(Files(problems, private=True).lines(path), problems):
            reader.add(line, tokens)
    except ConfError as error:
        problems.note(str(error))
    reader.note_conflicts()
    return Secrets(tuple(reader.preshared), tuple(reader.private), problems)


def confidential(path: Path) -> set[str]:
    """Every word of the file that may be a secret, whether its entry can be used or not. Raises ConfError."""
    from cygnet.crypto.rsa import NUMBER_NAMES

    known = {":", "{", "}", "psk", "rsa", *UNSUPPORTED, *(name.lower() for name in NUMBER_NAMES)}
    found: set[str] = set()
    for _, tokens in _entries(Files(Problems()).lines(path), Problems()):
        after = ""
        for word in tokens[max(0, _end_of_indices(tokens)) :]:
            if isinstance(word, Quoted) or word.lower() not in known:
                found |= set() if after in PUBLIC else {str(word)}
                after = ""
            elif word not in ":{}":
                after = word.lower()
    return found


def _entries(lines: Iterable[Line], problems: Problems) -> Iterator[Entry]:
    entry: Entry | None = None
    for line in lines:
        tokens = list(_tokens(line.text))
        if tokens and not line.indented:
            if entry:
                yield entry
            entry = (line, tokens)
        elif tokens and entry:
            entry[1].extend(tokens)
        elif tokens:
            problems.note(f"{line.where}: this line is indented, but no entry begins above it")
    if entry:
        yield entry


def _tokens(text: str) -> Iterator[str]:
    """The words of a line; a colon at a word's end is one of its own."""
    for match in _TOKEN.finditer(text.rstrip()):
        if match["comment"]:
            return
        if match["quoted"]:
            yield Quoted(match["quoted"][1:-1])
        elif match["word"]:
            word = match["word"]
            colon = len(word) > 1 and word.endswith(":") and not word.startswith("0t")
            yield from (word[:-1], ":") if colon else (word,)


class _Reader:
    """Takes entries, keeps secrets."""

    def __init__(self, scope: Scope, problems: Problems) -> None:
        self.scope = scope
        self.problems = problems
        self.preshared: list[PresharedKey] = []
        self.private: list[RsaSecret] = []

    def add(self, line: Line, tokens: Sequence[str]) -> None:
        """Read one entry."""
        try:
            at = _end_of_indices(tokens)
            if not 0 <= at <= MAX_INDICES:
                raise ValueError(f"it has no secret: up to {MAX_INDICES} indices, a colon, white space, and PSK or RSA")
            indices = tuple(self._index(number, token) for number, token in enumerate(tokens[:at], 1))
            self._secret(line, indices, tokens[at + 1 :] if tokens[at] == ":" else tokens[at:])
        except ConfError as error:
            self.problems.note(f"{error}; the entry is left out")
        except (ValueError, OSError) as error:
            self.problems.note(f"{line.where}: {error}; the entry is left out")

    def _index(self, number: int, text: str) -> Identity | None:
        """One index. Its text is not shown: what looks like an index may be a secret in the wrong place."""
        if text in ("%any6", "::", "0::0"):
            return ANY_IPV6
        try:
            if text != "%myid":
                return identity(text, self.scope)
        except ValueError:
            pass
        raise ValueError(f"its index {number} is no %any, no address, no name with an address, no @name or user@name")

    def _secret(self, line: Line, indices: Indices, tokens: Sequence[str]) -> None:
        first = tokens[0] if tokens else ""
        kind = "psk" if isinstance(first, Quoted) else first.lower()
        if kind == "psk":
            key = _preshared(tokens if isinstance(first, Quoted) else tokens[1:])
            self.preshared.append(PresharedKey(indices, key, line.where))
        elif kind == "rsa":
            private = _rsa_key(tokens[2:]) if tokens[1:2] == ["{"] else self._key_file(line, tokens[1:])
            self.private.append(RsaSecret(indices, private, line.where))
        elif kind in UNSUPPORTED:
            raise ValueError(f"{UNSUPPORTED[kind]} are not supported, PSK and RSA are")
        else:
            raise ValueError("PSK or RSA must come after its colon and white space")

    def _key_file(self, line: Line, tokens: Sequence[str]) -> PrivateKey:
        from cygnet.crypto.rsa import PrivateKey

        if not 1 <= len(tokens) <= 2:
            raise ValueError("RSA takes { and numbers, or the name of a PEM file and its passphrase")
        if tokens[1:] == ["%prompt"]:
            raise ValueError("nobody is there to be asked for a passphrase (%prompt): write it, or take it off the key")
        usual = self.scope.folder / "ipsec.d" / "private" / tokens[0]
        data = read_bounded(usual if usual.exists() else line.path.parent / tokens[0], MAX_KEY_FILE, private=True)
        return PrivateKey.from_pem(data, _bytes(tokens[1]) if tokens[1:] else None)

    def note_conflicts(self) -> None:
        """Entries with the same indices and other secrets: the first is used, which is not what was wanted."""
        seen: dict[object, PresharedKey] = {}
        for entry in self.preshared:
            first = seen.setdefault(frozenset(entry.indices), entry)
            if first.key != entry.key:
                self.problems.note(f"{entry.where}: not used, {first.where} has another secret for the same indices")


def _end_of_indices(tokens: Sequence[str]) -> int:
    """Where the secret begins, or the colon before it; -1 for nowhere."""
    return next((at for at, word in enumerate(tokens) if isinstance(word, Quoted) or word == ":"), -1)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _preshared(tokens: Sequence[str]) -> bytes:
    if len(tokens) != 1 or not tokens[0]:
        raise ValueError('a PSK is one word: "in quotes", or a number that begins with 0x or 0s')
    if isinstance(tokens[0], Quoted):
        return _bytes(tokens[0])
    if tokens[0][0] in "'\"":
        raise ValueError("its quotes are not closed on the same line")
    return to_data(tokens[0])


def _rsa_key(tokens: Sequence[str]) -> PrivateKey:
    """The numbers in braces: names and values by turns, in this order."""
    from cygnet.crypto.rsa import NUMBER_NAMES, PrivateKey

    words = [word for word in tokens if word != ":"]
    if words[-1:] != ["}"]:
        raise ValueError("its numbers must end with a } that is indented, with nothing after it")
    names = [name.lower() for name in words[:-1:2]]
    if names != [name.lower() for name in NUMBER_NAMES] or len(words) != 2 * len(NUMBER_NAMES) + 1:
        raise ValueError(f"its numbers must be {', '.join(NUMBER_NAMES)}, in this order")
    numbers = [to_data(text) for text in words[1::2]]
    if max(map(len, numbers)) > MAX_NUMBER:
        raise ValueError(f"one of its numbers has more than {MAX_NUMBER} bytes")
    return PrivateKey.from_numbers(*(int.from_bytes(number, "big") for number in numbers))
