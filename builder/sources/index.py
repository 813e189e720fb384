"""Debian's signed index, read with a private apt state so that the host is not touched.

apt fetches and verifies the index of every suite named here; this module reads the
verified Sources and Packages files and answers: which versions, which files.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from debian.debian_support import NativeVersion

from builder.errors import SourceError
from builder.sources.lock import File, Locked
from builder.sources.mirror import mirrors

SUITES = {
    "trixie-security": "debian-security",
    "trixie": "debian",
    "bookworm-security": "debian-security",
    "bookworm": "debian",
}
TOOL_SUITES = ("trixie-security", "trixie")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
ARCHITECTURE = "amd64"


class Index:
    """The index of all SUITES, in ``state``; call `update` before the first question."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def update(self) -> None:
        """Fetch and verify what changed. Raises SourceError with apt's own words."""
        for folder in ("lists/partial", "cache/archives/partial"):
            (self._state / folder).mkdir(parents=True, exist_ok=True)
        (self._state / "status").touch()
        (self._state / "sources.list").write_text(_sources_list())
        done = subprocess.run(self._apt("update", "--error-on=any"), capture_output=True, text=True)
        if done.returncode:
            words = [line for line in done.stderr.splitlines() if line.startswith("E:")] or ["no reason given"]
            raise SourceError(f"apt cannot read the Debian index: {words[0][3:]} Is the network there?")

    def sources(self, name: str, suites: tuple[str, ...]) -> list[Locked]:
        """All versions of a source package, suites in the given order, newest first in each."""
        found = [entry for entry in self._sources if entry[0] == name]
        return [
            locked for suite in suites for locked in newest_first([entry for _, entry in found if entry.suite == suite])
        ]

    def binary(self, name: str, suites: tuple[str, ...]) -> list[Locked]:
        """All versions of a tool's binary package in some suites, newest first."""
        return newest_first([entry for entry in self._binaries.get(name, []) if entry.suite in suites])

    @cached_property
    def _sources(self) -> list[tuple[str, Locked]]:
        return [
            (stanza["Package"], Locked(stanza["Version"], suite, _source_files(stanza, SUITES[suite])))
            for suite, stanza in self._stanzas("Sources")
        ]

    @cached_property
    def _binaries(self) -> dict[str, list[Locked]]:
        found: dict[str, list[Locked]] = {}
        for suite, stanza in self._stanzas("Packages"):
            file = File(stanza["Filename"], stanza["SHA256"], int(stanza["Size"]), SUITES[suite])
            found.setdefault(stanza["Package"], []).append(Locked(stanza["Version"], suite, (file,)))
        return found

    def _stanzas(self, kind: str) -> Iterator[tuple[str, dict[str, str]]]:
        listing = self._output("apt-get", "indextargets", "--format", "$(RELEASE) $(FILENAME)", f"Created-By: {kind}")
        for line in listing.splitlines():
            suite, file = line.split(" ", 1)
            text = self._output("/usr/lib/apt/apt-helper", "cat-file", file)
            for paragraph in text.split("\n\n"):
                stanza = parse_stanza(paragraph)
                if stanza:
                    yield suite, stanza

    def _apt(self, *words: str) -> list[str]:
        return ["apt-get", *self._options(), *words]

    def _output(self, program: str, *words: str) -> str:
        done = subprocess.run([program, *self._options(), *words], capture_output=True, text=True)
        if done.returncode:
            raise SourceError(f"{program} failed: {done.stderr.strip().splitlines()[-1:]}; remove {self._state}")
        return done.stdout

    def _options(self) -> list[str]:
        options = {
            "Dir::State": self._state,
            "Dir::State::lists": self._state / "lists",
            "Dir::State::status": self._state / "status",
            "Dir::Cache": self._state / "cache",
            "Dir::Etc::sourcelist": self._state / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "APT::Architecture": ARCHITECTURE,
            "APT::Architectures": ARCHITECTURE,
            "Acquire::Languages": "none",
            "APT::Update::Post-Invoke-Success::": "",
            "APT::Sandbox::User": "",
        }
        return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


def _sources_list() -> str:
    base = mirrors()
    lines = [f"deb-src [signed-by={KEYRING}] {base[place]} {suite} main" for suite, place in SUITES.items()]
    lines += [f"deb [signed-by={KEYRING}] {base[SUITES[suite]]} {suite} main" for suite in SUITES]
    return "\n".join(lines) + "\n"


def parse_stanza(paragraph: str) -> dict[str, str]:
    """One deb822 paragraph: field -> value, continuation lines kept with newlines."""
    fields: dict[str, str] = {}
    name = ""
    for line in paragraph.splitlines():
        if line[:1] in (" ", "\t"):
            fields[name] += "\n" + line.strip()
        elif ":" in line:
            name, value = line.split(":", 1)
            fields[name] = value.strip()
    return fields


def _source_files(stanza: dict[str, str], repository: str) -> tuple[File, ...]:
    """The tarballs of a source package; .dsc and signatures are not needed (the index is signed)."""
    files = []
    for line in stanza.get("Checksums-Sha256", "").split("\n"):
        words = line.split()
        if len(words) == 3 and ".tar." in words[2] and not words[2].endswith(".asc"):
            files.append(File(f"{stanza['Directory']}/{words[2]}", words[0], int(words[1]), repository))
    return tuple(sorted(files, key=lambda file: file.path))


def newest_first(found: list[Locked]) -> list[Locked]:
    """Sorted by Debian's version order, newest first, duplicates dropped."""
    unique = {entry.version: entry for entry in found}
    return sorted(unique.values(), key=lambda entry: NativeVersion(entry.version), reverse=True)
