"""From the text of a site file to a Site, strictly: every key that is unknown, missing or wrong is told by its line."""

from __future__ import annotations

import re
import tomllib
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from cygnet.conf.error import ConfError, nearest
from cygnet.conf.text import read_bounded

from cygnet_site import rules
from cygnet_site.errors import SiteError, problem
from cygnet_site.kinds import MOST_ITEMS, Kind, Listed
from cygnet_site.lines import Lines
from cygnet_site.model import FORMAT, KeyPath, Named, Site, Table, Tables

MAX_FILE = 1 << 20
_PLACE = re.compile(r" \((?:at line (\d+), column \d+|at end of document)\)")


def read_site(path: Path) -> Site:
    """The site that ``path`` describes. SiteError has a line for each thing that is wrong; no other file is read."""
    try:
        data = read_bounded(path, MAX_FILE, private=False)
    except ConfError as error:
        raise SiteError.of([str(error)]) from None
    return parse(data, path)


def parse(data: bytes, path: Path) -> Site:
    """The same from its bytes; ``path`` is what errors call it, and what names in it are relative to."""
    text, values = _toml(data, path)
    reader = _Reader(path, Lines(text))
    if (format_ := values.get("format", FORMAT)) != FORMAT and isinstance(format_, int) and format_ > FORMAT:
        told = f"format {format_} is newer than this program, which reads {FORMAT}: take a newer Cygnet"
        raise SiteError(path, reader.lines.of(("format",)), told)
    site: Site = reader.table(Site, values, ())
    if reader.problems:
        raise SiteError.of([problem(path, line, sentence) for line, sentence in sorted(reader.problems)])
    if problems := list(rules.problems(site)):
        raise SiteError.of([problem(path, site.line(*at), sentence) for at, sentence in problems])
    return site


def _toml(data: bytes, path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = data.decode().replace("\r\n", "\n")
        return text, tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SiteError(path, line, "this is no UTF-8: save the file as UTF-8") from None
    except RecursionError:
        raise SiteError(path, 1, "brackets within brackets, more than anybody needs: nothing is read") from None
    except ValueError as error:
        place = _PLACE.search(str(error))
        line = int(place[1] or text.count("\n") + 1) if place else 1
        what = _PLACE.sub("", str(error))[:200]
        raise SiteError(path, line, f"this is no TOML: {what[:1].lower()}{what[1:]}; see https://toml.io") from None


class _Reader:
    """Walks over the classes of the model; ``problems`` gets what is wrong, behind its line."""

    def __init__(self, path: Path, lines: Lines) -> None:
        self.path, self.lines = path, lines
        self.problems: list[tuple[int, str]] = []

    def note(self, at: KeyPath, sentence: str) -> None:
        self.problems.append((self.lines.of(at), sentence))

    def table(self, of: type, value: object, at: KeyPath) -> Any:
        """An instance; None where something is wrong, which then is noted."""
        if not isinstance(value, dict):
            return self.note(at, f"{dotted(at)} is a table: write [{dotted(at)}] and its keys below")
        before = len(self.problems)
        known = {key_of(one): one for one in fields(of) if one.metadata}
        for name in value.keys() - known.keys():
            hint = nearest(name, list(known)) or f": there is {', '.join(known)}"
            self.note((*at, name), f"{_of(at)} has no key {name[:40]}{hint}")
        found = {}
        for name, one in known.items():
            if name in value:
                found[one.name] = self.value(one.metadata["kind"], value[name], (*at, name))
            elif one.default is MISSING and one.default_factory is MISSING:
                self.note(at, f"{_of(at)} lacks {name}: {one.metadata['meaning']}")
        if len(self.problems) > before:
            return None
        places = {"path": self.path, "lines": self.lines} if of is Site else {}
        return of(**found, **places)

    def value(self, kind: object, value: Any, at: KeyPath) -> Any:
        """What a key says."""
        match kind:
            case Kind():
                return self.single(kind, value, at)
            case Table():
                return self.table(kind.of, value, at)
            case Tables() | Listed():
                return self.several(kind, value, at)
            case Named():
                return self.named(kind, value, at)
        raise TypeError(kind)

    def single(self, kind: Kind, value: Any, at: KeyPath) -> Any:
        try:
            return kind.read(value)
        except ValueError as error:
            return self.note(at, f"{dotted(at)}: {error}")

    def several(self, kind: Tables | Listed, value: Any, at: KeyPath) -> Any:
        tables = isinstance(kind, Tables)
        if not isinstance(value, list):
            write = f"write [[{dotted(at)}]], with two brackets" if tables else f"write {at[-1]} = [ ... ]"
            return self.note(at, f"{dotted(at)} is a list: {write}")
        if len(value) > (most := kind.most if isinstance(kind, Tables) else MOST_ITEMS):
            return self.note((*at, most), f"there are more than {most} of {dotted(at)}: leave some out")
        if isinstance(kind, Tables):
            return tuple(self.table(kind.of, item, (*at, number)) for number, item in enumerate(value))
        return tuple(self.single(kind.item, item, (*at, number)) for number, item in enumerate(value))

    def named(self, kind: Named, value: Any, at: KeyPath) -> Any:
        if not isinstance(value, dict):
            return self.note(at, f"{dotted(at)} is a table: write [{dotted(at)}] and its keys below")
        for name in value:
            self.single(kind.name, name, (*at, name))
        return {name: self.value(kind.value, item, (*at, name)) for name, item in value.items()}


def key_of(one: Field[Any]) -> str:
    """How a field is called in the file."""
    return str(one.metadata["name"]) or one.name.replace("_", "-")


def dotted(at: KeyPath) -> str:
    """A key as people say it: lan.lease.mac."""
    return ".".join(part[:40] for part in at if isinstance(part, str))


def _of(at: KeyPath) -> str:
    return f"[{dotted(at)}]" if at else "the file"
