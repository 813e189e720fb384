"""A whole ipsec.conf(5): the setup, the connections that can be used, and why the others cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cygnet.conf import groups
from cygnet.conf.connections import build
from cygnet.conf.error import ConfError, Problems
from cygnet.conf.parameters import CONN, SETUP, TABLES
from cygnet.conf.resolve import Resolver
from cygnet.conf.sections import IMPLICIT, Append, Section, Sections, Setting, implicit
from cygnet.conf.text import Files
from cygnet.conf.values import Scope
from cygnet.connection.connection import Address, Auto, Connection, HostKind, Setup, Type
from cygnet.connection.local import Local
from cygnet.connection.selector import Network


@dataclass(frozen=True)
class Configuration:
    """``problems``: a sentence with file:line for each thing that was left out.

    ``manual``: the parameters of manual keying as they stand there, by conn and name; there are keys among them.
    ``series``: 1 for files of FreeS/WAN 1.9x, whose defaults are others; 2 where `version 2` stands.
    """

    setup: Setup
    connections: dict[str, Connection]
    problems: list[str]
    manual: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict, repr=False)
    series: int = 2

    @property
    def starts_manual(self) -> list[str]:
        """Which conns keyed by hand are to be up from the start: manualstart= first, then those of auto=manual."""
        automatic = [one.name for one in self.connections.values() if one.auto is Auto.MANUAL]
        return list(dict.fromkeys([*self.setup.manual_start, *automatic]))


def load(
    path: Path,
    local: Local,
    resolve: Callable[[str], Sequence[Address]] | None = None,
    union: Sequence[str] = (),
) -> Configuration:
    """Read ``path``. ConfError only where the file as a whole cannot be used; none at all is an empty one.

    ``union``: conns that make one conn together, whose name is all of theirs (ipsec_manual(8)).
    """
    problems = Problems()
    sections = Sections(problems)
    if path.exists():
        sections.read(Files(problems).lines(path))
    else:
        problems.note(f"{path}: there is no such file, so there are no connections")
    if union:
        parts = [Append(part, False, str(path)) for part in union]
        sections.conns[" ".join(union)] = Section("conn", " ".join(union), str(path), appends=parts)
    return _Loader(sections, problems, Scope(local, path.parent, resolve or Resolver())).load()


class _Loader:
    """From sections to connections; collects what goes along with them."""

    def __init__(self, sections: Sections, problems: Problems, scope: Scope) -> None:
        self.sections = sections
        self.problems = problems
        self.scope = scope
        self.ignored: dict[str, str] = {}
        self.manual: dict[str, dict[str, Setting]] = {}
        self.connections: dict[str, Connection] = {}

    def load(self) -> Configuration:
        settings = self._setup_settings()
        values = self._setup_values(settings)
        self._note_ignored("config", settings)
        self.scope = replace(self.scope, my_id=values.get("myid"))
        for section in self.sections.conns.values():
            if not section.bad:
                self._conn(section)
        for key, auto in (("plutoload", Auto.ADD), ("plutostart", Auto.START)):
            for name in values.get(key, ()):
                self._named(settings.get(key), name, auto)
        self._groups()
        self._rivals()
        fields = {SETUP[key].sets: value for key, value in values.items() if SETUP[key].sets}
        setup = Setup(**fields, ignored=self.ignored)
        return Configuration(setup, self.connections, self.problems, self.manual, self.sections.series)

    def _setup_settings(self) -> dict[str, Setting]:
        try:
            return self.sections.expand(self.sections.setup)
        except ConfError as error:
            self.problems.note(f"{error}; config setup is read without it")
            return {name: setting for name, setting in self.sections.setup.settings.items() if setting.value}

    def _setup_values(self, settings: Mapping[str, Setting]) -> dict[str, Any]:
        """What is given, and defaults that depend on this box or on the series. A wrong line is a problem."""
        rows = [row for row in SETUP.values() if row.name == "interfaces" or (row.old and self.sections.series == 1)]
        values = {row.name: row.read(row.old or row.default, self.scope) for row in rows}
        for key, setting in settings.items():
            try:
                values[key] = SETUP[key].read(setting.value, self.scope)
            except ValueError as error:
                self.problems.note(f"{setting.where}: {key}={setting.value[:80]}: {error}; the line is ignored")
        return values

    def _note_ignored(self, kind: str, settings: Mapping[str, Setting]) -> None:
        for name, setting in settings.items():
            if TABLES[kind][name].reason:
                self.ignored.setdefault(name, setting.where)

    def _conn(self, section: Section) -> None:
        name = section.name
        try:
            settings = self.sections.expand(section)
            if self._is_part(section, settings):
                return
            self.connections[name] = build(name, section.where, settings, self.scope, self.sections.series)
        except ConfError as error:
            self.problems.note(f'{error}; conn "{name}" is left out')
            return
        self._note_ignored("conn", settings)
        manual = {key: setting for key, setting in settings.items() if CONN[key].manual or key in ("esp", "ah")}
        if manual.keys() - {"esp", "ah"} or self.connections[name].auto is Auto.MANUAL:
            self.manual[name] = manual

    def _is_part(self, section: Section, settings: Mapping[str, Setting]) -> bool:
        """Whether it is only there for others to append, or for nothing: then it is no connection, and no problem."""
        idle = "auto" not in settings or settings["auto"].value == "ignore"
        part = "auto" not in section.settings and section.name in self.sections.appended
        return not ("left" in settings and "right" in settings) and (idle or part)

    def _named(self, setting: Setting | None, name: str, auto: Auto) -> None:
        """plutoload= and plutostart= of 1.9x: what is named there is loaded, or started, whatever its auto= says."""
        if name in self.connections:
            self.connections[name] = replace(self.connections[name], auto=auto)
        elif not name.startswith("%") and setting:
            self.problems.note(f'{setting.where}: {setting.name} names conn "{name}", which there is not')

    def _groups(self) -> None:
        """Beside each pattern the conns that it makes; an implicit one is a pattern once its file is there."""
        for name in IMPLICIT if self.sections.series == 2 else ():
            if name not in self.sections.conns and (self.scope.folder / groups.FOLDER / name).exists():
                self._conn(implicit(name))
        for one in [one for one in self.connections.values() if one.there.kind in groups.KINDS]:
            made = groups.members(one, self.scope.folder, self.problems)
            self.connections |= {member.name: member for member in made}

    def _rivals(self) -> None:
        """Two ways for the same traffic: the kernel can send it by one of them only."""
        seen: dict[Network, list[Connection]] = {}
        for one in self.connections.values():
            selector = one.there.selector
            if one.auto in (Auto.IGNORE, Auto.MANUAL) or one.there.kind is not HostKind.ADDRESS or not selector:
                continue
            others = seen.setdefault(selector.network, [])
            if other := next((other for other in others if _fight(one, other)), None):
                self.problems.note(
                    f'{one.where}: conn "{one.name}" is for the same traffic as conn "{other.name}" at {other.where}'
                    " but with another peer or interface: only one of them can be up, so give one auto=ignore"
                )
            others.append(one)


def _fight(one: Connection, other: Connection) -> bool:
    """Of two connections to the same network: whether a packet has two peers, or the route two interfaces."""
    if Type.TRANSPORT in (one.type, other.type):
        return False
    passing = {one.type is Type.PASSTHROUGH, other.type is Type.PASSTHROUGH}
    interfaces = {one.here.interface, other.here.interface} - {""}
    same = (one.here.selector, one.there.selector) == (other.here.selector, other.there.selector)
    return 2 in (len(passing), len(interfaces)) or (
        same and one.type is Type.TUNNEL and other.there.host != one.there.host
    )
