"""ipsec.secrets(5): entries of indices and a secret, each beginning at the left margin and going on indented.

A bad entry is left out with a problem that never shows what stands in it. One whose index cannot be read is left out
whole: without that index it would serve others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cygnet.conf.error import ConfError, Problems
from cygnet.conf.hosts import identity
from cygnet.conf.keys import to_data
from cygnet.conf.local import Local
from cygnet.conf.resolve import Resolve, Resolver
from cygnet.conf.text import Files, Line, read_bounded
from cygnet.conf.values import Scope
from cygnet.connection.identity import Identity
from cygnet.connection.secret import ANY_IPV6, PresharedKey, RsaSecret, Secrets

if TYPE_CHECKING:
    from cygnet.crypto.rsa import PrivateKey

MAX_INDICES = 100
MAX_NUMBER = 1024
MAX_KEY_FILE = 64 << 10
RSA_FIELDS = (
    "modulus",
    "publicexponent",
    "privateexponent",
    "prime1",
    "prime2",
    "exponent1",
    "exponent2",
    "coefficient",
)
_TOKEN = re.compile(r"""[ \t]+|(?P<comment>\#.*)|(?P<quoted>"[^"]*"|'[^']*')|(?P<text>0t.*)|(?P<word>[^ \t]+)""")
UNSUPPORTED = {"pin": "smart cards", "xauth": "XAUTH", "ecdsa": "ECDSA keys", "pkcs12": "PKCS #12 files", "eap": "EAP"}


class Token(NamedTuple):
    """A word of an entry. ``quoted``: it stood in quotes, which are no part of ``text``."""

    text: str
    quoted: bool = False


class Entry(NamedTuple):
    """What begins at the left margin, with all that is indented below it."""

    line: Line
    tokens: list[Token]


def load_secrets(path: Path, resolve: Resolve | None = None) -> Secrets:
    """Read ``path``; what cannot be used is in the ``problems`` of the result."""
    problems = Problems()
    reader = _Reader(path, Scope(Local(), path.parent, resolve or Resolver()), problems)
    try:
        for entry in _entries(Files(problems, private=True).lines(path), problems):
            reader.add(entry)
    except ConfError as error:
        problems.note(str(error))
    reader.note_conflicts()
    return Secrets(tuple(reader.preshared), tuple(reader.private), problems)


def _entries(lines: Iterable[Line], problems: Problems) -> Iterator[Entry]:
    entry: Entry | None = None
    for line in lines:
        tokens = list(_tokens(line.text))
        if not tokens:
            continue
        if not line.indented:
            if entry:
                yield entry
            entry = Entry(line, [])
        if entry is None:
            problems.note(f"{line.where}: this line is indented, but no entry begins above it")
        else:
            entry.tokens.extend(tokens)
    if entry:
        yield entry


def _tokens(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text.rstrip()):
        if match["comment"] is not None:
            return
        if match["quoted"] is not None:
            yield Token(match["quoted"][1:-1], True)
        elif match["text"] is not None:
            yield Token(match["text"])
        elif match["word"] is not None:
            word = match["word"]
            if len(word) > 1 and word.endswith(":"):
                yield Token(word[:-1])
                word = ":"
            yield Token(word)


class _Reader:
    """Takes entries, keeps secrets."""

    def __init__(self, path: Path, scope: Scope, problems: Problems) -> None:
        self.folder = path.parent
        self.scope = scope
        self.problems = problems
        self.preshared: list[PresharedKey] = []
        self.private: list[RsaSecret] = []

    def add(self, entry: Entry) -> None:
        """Read one entry."""
        try:
            indices, rest = self._indices(entry.tokens)
            self._secret(entry, indices, rest)
        except ConfError as error:
            self.problems.note(f"{error}; the entry is left out")
        except ValueError as error:
            self.problems.note(f"{entry.line.where}: {error}; the entry is left out")

    def _indices(self, tokens: Sequence[Token]) -> tuple[tuple[Identity | None, ...], Sequence[Token]]:
        for at, token in enumerate(tokens):
            if token.quoted or token.text == ":":
                if at > MAX_INDICES:
                    raise ValueError(f"it has more than {MAX_INDICES} indices")
                indices = tuple(self._index(number, token.text) for number, token in enumerate(tokens[:at], 1))
                return indices, tokens[at if token.quoted else at + 1 :]
        raise ValueError("it has no secret: write indices, a colon, white space, and PSK or RSA with the secret")

    def _index(self, number: int, text: str) -> Identity | None:
        """One index. Its text is not shown: what looks like an index may be a secret in the wrong place."""
        if text in ("%any6", "::", "0::0"):
            return ANY_IPV6
        try:
            return identity(text, self.scope)
        except ValueError:
            raise ValueError(
                f"its index {number} is neither %any, an address, a name with an address now, @name nor user@name"
            ) from None

    def _secret(self, entry: Entry, indices: tuple[Identity | None, ...], tokens: Sequence[Token]) -> None:
        first = tokens[0] if tokens else Token("")
        where = entry.line.where
        kind = "psk" if first.quoted else first.text.lower()
        if kind == "psk":
            key = _preshared(tokens if first.quoted else tokens[1:])
            self.preshared.append(PresharedKey(indices, key, where))
        elif kind == "rsa" and tokens[1:2] == [Token("{")]:
            self.private.append(RsaSecret(indices, _rsa_key(tokens[2:]), where))
        elif kind == "rsa":
            self.private.append(RsaSecret(indices, self._key_file(entry.line, tokens[1:]), where))
        elif kind in UNSUPPORTED:
            raise ValueError(f"{UNSUPPORTED[kind]} are not supported, PSK and RSA are")
        else:
            raise ValueError("PSK or RSA must come after its colon and white space")

    def _key_file(self, line: Line, tokens: Sequence[Token]) -> PrivateKey:
        from cygnet.crypto.rsa import PrivateKey

        if not 1 <= len(tokens) <= 2:
            raise ValueError("RSA takes { and numbers, or the name of a PEM file and its passphrase")
        if tokens[1:] == [Token("%prompt")]:
            raise ValueError("nobody is there to be asked for a passphrase (%prompt): write it, or take it off the key")
        passphrase = tokens[1].text.encode("utf-8", "surrogateescape") if tokens[1:] else None
        usual = self.folder / "ipsec.d" / "private" / tokens[0].text
        path = usual if usual.exists() else line.path.parent / tokens[0].text
        data = read_bounded(path, MAX_KEY_FILE, private=True)
        return PrivateKey.from_pem(data, passphrase)

    def note_conflicts(self) -> None:
        """Entries with the same indices and other secrets: the first is used, which is not what was wanted."""
        seen: dict[object, PresharedKey] = {}
        for entry in self.preshared:
            first = seen.setdefault(frozenset(entry.indices), entry)
            if first.key != entry.key:
                self.problems.note(
                    f"{entry.where}: another secret has the same indices, at {first.where}, and it is the one used"
                )


def _preshared(tokens: Sequence[Token]) -> bytes:
    if len(tokens) != 1:
        raise ValueError('a PSK is one word: "in quotes", or a number that begins with 0x or 0s')
    token = tokens[0]
    if not token.quoted and token.text[:1] in ("'", '"'):
        raise ValueError("its quotes are not closed on the same line")
    key = token.text.encode("utf-8", "surrogateescape") if token.quoted else to_data(token.text)
    if not key:
        raise ValueError("its PSK is empty")
    return key


def _rsa_key(tokens: Sequence[Token]) -> PrivateKey:
    """The numbers in braces: names and values by turns, in this order."""
    from cygnet.crypto.rsa import PrivateKey

    words = [token.text for token in tokens if token.text != ":"]
    if words[-1:] != ["}"]:
        raise ValueError("its numbers must end with a } that is indented, with nothing after it")
    if [name.lower() for name in words[:-1:2]] != list(RSA_FIELDS) or len(words) != 2 * len(RSA_FIELDS) + 1:
        raise ValueError(f"its numbers must be {', '.join(RSA_FIELDS)}, in this order")
    numbers = []
    for name, text in zip(RSA_FIELDS, words[1::2], strict=True):
        try:
            number = to_data(text)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        if len(number) > MAX_NUMBER:
            raise ValueError(f"{name} has more than {MAX_NUMBER} bytes")
        numbers.append(int.from_bytes(number, "big"))
    return PrivateKey.from_numbers(*numbers)
