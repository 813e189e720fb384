"""What a kernel fragment asked for against what kconfig made of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from builder.errors import CygnetError, RecipeError

SETTING = re.compile(r"(CONFIG_\w+)=(.+)")


def check_config(fragments: Iterable[Path], config: Path) -> None:
    """Raise with every symbol of ``fragments`` that ``config`` does not hold as asked; =n means absent.

    What a later fragment says of a symbol counts, as it does for kconfig.
    """
    got = {name: value for _, name, value in _settings(config)}
    asked = {name: (value, f"{fragment}:{line}") for fragment in fragments for line, name, value in _settings(fragment)}
    wrong = [
        f"{place}: {name}={value}, but the kernel has {got.get(name, 'n')}"
        for name, (value, place) in asked.items()
        if got.get(name, "n") != value
    ]
    if wrong:
        listed = "\n    ".join(wrong)
        raise CygnetError(
            f"the kernel drops what was asked for; give what each depends on, or take it out:\n    {listed}"
        )


def _settings(file: Path) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(file.read_text().splitlines(), 1):
        found = SETTING.fullmatch(line.strip())
        if found:
            yield number, found[1], found[2]
        elif line.strip() and not line.lstrip().startswith("#"):
            raise RecipeError(file, number, f"expected CONFIG_NAME=value or a comment, not {line.strip()!r}")
