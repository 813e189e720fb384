"""The grammar of ipsec.conf(5): sections, their parameters, `also`, `alsoflip`, %default and the implicit conns.

Values are not looked at here. A section with an error is marked `bad`: whatever needs it is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from cygnet.conf.error import ConfError, Problems, nearest
from cygnet.conf.parameters import ALIASES, TABLES
from cygnet.conf.text import Line, without_comment

MAX_APPENDED = 64
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9._-]*")
SETTING = re.compile(r'([a-zA-Z_][a-zA-Z0-9_-]*)[ \t]*=[ \t]*(?:"([^"]*)"|([^"]*))')


class Setting(NamedTuple):
    """One parameter as it is written."""

    name: str
    value: str
    where: str


class Append(NamedTuple):
    """also= or, with ``flip``, alsoflip=."""

    name: str
    flip: bool
    where: str


@dataclass
class Section:
    """One section. ``bad``: where its first error is, "" if it has none."""

    kind: str
    name: str
    where: str
    settings: dict[str, Setting] = field(default_factory=dict)
    appends: list[Append] = field(default_factory=list)
    bad: str = ""
    implicit: bool = False


# What FreeS/WAN 2.x defines by itself. A conn of the file with the same name takes the place of its namesake here.
_OPPORTUNISTIC = "left=%defaultroute leftid=%myid keyingtries=3 ikelifetime=1h keylife=1h rekey=no auto=route"
_NEVER = "authby=never left=%defaultroute leftid=%myid right=%group auto=route"
IMPLICIT = {
    "clear": f"type=passthrough {_NEVER}",
    "block": f"type=reject {_NEVER}",
    "clear-or-private": f"type=passthrough right=%opportunisticgroup failureshunt=passthrough {_OPPORTUNISTIC}",
    "private-or-clear": f"type=tunnel right=%opportunisticgroup failureshunt=passthrough {_OPPORTUNISTIC}",
    "private": f"type=tunnel right=%opportunisticgroup failureshunt=drop dnssec=yes {_OPPORTUNISTIC}",
    "packetdefault": f"leftsubnet=0.0.0.0/0 right=%opportunistic failureshunt=passthrough {_OPPORTUNISTIC}",
}


class Sections:
    """All sections of a configuration. ``series``: 1 for files of FreeS/WAN 1.9x, 2 where `version 2` stands."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.series = 1
        self.setup = Section("config", "setup", "")
        self.conns: dict[str, Section] = {}
        self.defaults = {kind: Section(kind, "%default", "") for kind in TABLES}
        self.appended: set[str] = set()
        self._now: Section | None = None

    def read(self, lines: Iterable[Line]) -> None:
        """Sort the lines into sections; what is wrong goes to ``problems``."""
        for line in lines:
            text = without_comment(line.text)
            if not text.strip():
                continue
            if not line.indented:
                self._now = self._begin(line.where, text.split())
            elif self._now is None:
                self.problems.note(f"{line.where}: this line is in no section")
            else:
                self._add(self._now, line.where, text.strip())

    def _begin(self, where: str, words: list[str]) -> Section | None:
        """A new section. One that cannot be kept is made all the same, for its lines to go there."""
        kind, name = words if len(words) == 2 else (words[0], "")
        section = Section(kind, name, where)
        if kind == "version":
            self._version(where, name)
            return None
        wrong = ""
        if kind not in TABLES:
            wrong = f"{kind[:40]!r} begins no section: config, conn, include or version do"
        elif name == "%default":
            return self.defaults[kind]
        elif not _NAME.fullmatch(name) or (kind == "config" and name != "setup"):
            wrong = f"{kind} {name[:40]} is none: write config setup, conn %default, or conn and a name"
        elif other := self.setup.where if kind == "config" else name in self.conns and self.conns[name].where:
            wrong = f'{kind} "{name}" is left out: there is one already, at {other}'
        elif kind == "config":
            self.setup = section
        else:
            self.conns[name] = section
        if wrong:
            self.problems.note(f"{where}: {wrong}")
        return section

    def _version(self, where: str, number: str) -> None:
        if not re.fullmatch(r"2(\.0*)?", number):
            raise ConfError(where, f"version {number[:20]} is not known: write version 2, or nothing for a 1.9x file")
        if self.conns or self.setup.where:
            self.problems.note(f"{where}: version 2 must stand before the first section")
        self.series = 2

    def _add(self, section: Section, where: str, text: str) -> None:
        try:
            self._parse(section, where, text)
        except ConfError as error:
            if section.kind == "conn" and not section.bad:
                who = "every conn" if section.name == "%default" else f'conn "{section.name}"'
                self.problems.note(f"{error}; {who} is left out")
                section.bad = where
            elif section.kind == "config":
                self.problems.note(f"{error}; the line is ignored")

    def _parse(self, section: Section, where: str, text: str) -> None:
        if section.kind not in TABLES:
            return
        match = SETTING.fullmatch(text)
        if not match:
            raise ConfError(where, 'this is no parameter: name=value, or name="a value with spaces"')
        name, quoted, plain = match.groups()
        value = plain if quoted is None else quoted
        if quoted is None and re.search(r"\s", plain):
            raise ConfError(where, f'the value of {name} has white space, so it must stand in double quotes (")')
        if re.search("[\0-\x08\x0a-\x1f\x7f-\x9f]", value):
            raise ConfError(where, f"the value of {name} has characters that cannot be printed")
        if name in ("also", "alsoflip"):
            self._append(section, Append(value, name == "alsoflip", where))
        elif not re.match("[xX][-_]", name):
            self._set(section, Setting(ALIASES.get(name, name), value, where))

    def _append(self, section: Section, append: Append) -> None:
        if section.name == "%default":
            raise ConfError(append.where, "also= and alsoflip= cannot stand in %default")
        section.appends.append(append)
        self.appended.add(append.name)

    def _set(self, section: Section, setting: Setting) -> None:
        if setting.name not in TABLES[section.kind]:
            hint = "" if self.problems.full else nearest(setting.name, [*TABLES[section.kind], *ALIASES])
            if any(setting.name in table for table in TABLES.values()):
                hint = f"; it belongs to {'config setup' if section.kind == 'conn' else 'a conn'}"
            raise ConfError(setting.where, f"there is no parameter {setting.name[:64]}{hint}")
        if there := section.settings.get(setting.name):
            raise ConfError(setting.where, f"{setting.name} stands here twice, see {there.where}")
        section.settings[setting.name] = setting

    def expand(self, section: Section) -> dict[str, Setting]:
        """Its parameters with those of the sections that it appends and of %default; empty ones left out."""
        found: dict[str, Setting] = {}
        default = self.defaults[section.kind]
        # The implicit conns have nothing from %default, and neither has who appends them.
        if self._gather(section, False, (section.name,), [section.name], found):
            if default.bad:
                raise ConfError(section.where, f"it needs conn %default, which has an error at {default.bad}")
            found = default.settings | found
        return {name: setting for name, setting in found.items() if setting.value}

    def _gather(
        self, section: Section, flip: bool, chain: tuple[str, ...], names: list[str], found: dict[str, Setting]
    ) -> bool:
        """Put a section's parameters into ``found``; whether no implicit conn was among them."""
        for setting in section.settings.values():
            name = _flipped(setting.name) if flip else setting.name
            there = found.setdefault(name, setting._replace(name=name))
            if there.value != setting.value and not section.implicit:
                raise ConfError(there.where, f"{name} has another value at {setting.where}: keep one of them")
        plain = not section.implicit
        for append in section.appends:
            target = self._target(section.kind, append, chain, names)
            names.append(append.name)
            plain &= self._gather(target, flip != append.flip, (*chain, append.name), names, found)
        return plain

    def _target(self, kind: str, append: Append, chain: tuple[str, ...], names: list[str]) -> Section:
        target = self.conns.get(append.name) if kind == "conn" else None
        if target is None and kind == "conn" and self.series == 2 and append.name in IMPLICIT:
            target = implicit(append.name)
        if append.name in chain:
            wrong = f"a loop, {' -> '.join([*chain, append.name])}"
        elif target is None:
            hint = "" if self.problems.full else nearest(append.name, list(self.conns)[:1000])
            wrong = f"there is no {kind} of this name{hint}"
        elif append.name in names:
            wrong = "this section is appended twice"
        elif len(names) > MAX_APPENDED:
            wrong = f"more than {MAX_APPENDED} sections are appended"
        elif target.bad:
            wrong = f"that conn has an error at {target.bad}"
        else:
            return target
        raise ConfError(append.where, f"also={append.name[:64]}: {wrong}")


def _flipped(name: str) -> str:
    if name.startswith("left"):
        return "right" + name[4:]
    return "left" + name[5:] if name.startswith("right") else name


def implicit(name: str) -> Section:
    """An implicit conn of FreeS/WAN 2.x."""
    where = f"implicit conn {name}"
    pairs = [word.partition("=") for word in IMPLICIT[name].split()]
    return Section("conn", name, where, {key: Setting(key, value, where) for key, _, value in pairs}, implicit=True)
