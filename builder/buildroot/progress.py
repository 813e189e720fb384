"""What Buildroot says while it builds, as the builder's own progress: package by package.

Facts, seen with Buildroot 2026.05.1 and 2026.02.3: each step of a package begins with a line ``>>> NAME VERSION
Building``; in lines that are of no package both words are empty.  A package that is finished has a file
``.stamp_installed``.  A failed step ends in make's line that names the stamp it did not come to:
``make[1]: *** [package/pkg-generic.mk:273: /output/build/zlib-1.3.1/.stamp_built] Error 2``.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from builder.buildroot.output import DONE
from builder.progress import Progress

STEP = re.compile(r">>> (?P<name>\S*) (?P<version>\S*) (?P<what>[A-Z].*)")
FAILED = re.compile(r"make(?:\[\d+\])?: \*\*\* \[.*?(?P<folder>[^/\s]+)/\.stamp_\w+\] ")
# What a terminal is told to make such a line stand out.
ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[a-zA-Z]|\([A-Z0-9])|\x0f")
TAIL_LINES = 25
# A file system image's name begins so; it is no package.
IMAGE = "rootfs-"
# All sources are fetched before anything is built.
FETCHING = "Downloading"


class Watch:
    """Listens to a build. ``packages``: where each one's stamps are, by name."""

    def __init__(self, shown: Progress, packages: Mapping[str, Path]) -> None:
        self._shown = shown
        self._folders = {folder.name: name for name, folder in packages.items()}
        self._pending = {name: folder for name, folder in packages.items() if not (folder / DONE).exists()}
        self._began: dict[str, float] = {}
        self._labels: dict[str, str] = {}
        self._name = ""
        self._failed = ""
        self._tails: dict[str, deque[str]] = {}
        shown.plan(len(packages), len(packages) - len(self._pending))

    def line(self, text: str) -> None:
        """One line of make's output."""
        plain = ESCAPE.sub("", text).rstrip()
        step = STEP.fullmatch(plain)
        if step and self._knows(step["name"]):
            self._step(step["name"], step["version"], step["what"])
        elif failed := FAILED.match(plain):
            self._failed = self._failed or self._folders.get(failed["folder"], failed["folder"])
        if plain:
            self._tails.setdefault(self._name, deque(maxlen=TAIL_LINES)).append(plain[:300])

    def end(self) -> None:
        """The build has ended."""
        now = time.monotonic()
        for name in [name for name, folder in self._pending.items() if (folder / DONE).exists()]:
            del self._pending[name]
            self._shown.finished(self._labels.get(name, name), now - self._began.get(name, now))

    @property
    def failed(self) -> str:
        """The package that failed: whose stamp make names, else the one that was in work."""
        return self._failed or self._name

    @property
    def tail(self) -> list[str]:
        """The last lines of the package that failed."""
        return list(self._tails.get(self.failed, self._tails.get(self._name, ())))

    def _knows(self, name: str) -> bool:
        """Programs begin lines with >>>, too."""
        return not name or name.startswith(IMAGE) or name in self._folders.values()

    def _step(self, name: str, version: str, what: str) -> None:
        self.end()
        self._name = name
        if name not in self._pending:
            self._shown.say(f"{name}: {what}" if name else what)
        elif what == FETCHING:
            self._shown.say(f"fetching {name} {version}".rstrip())
        elif name not in self._began:
            self._began[name], self._labels[name] = time.monotonic(), f"{name} {version}".rstrip()
            self._shown.started(self._labels[name])
