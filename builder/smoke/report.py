"""What a run of the acceptance tests proved, from the JUnit file that pytest wrote."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from builder.errors import CygnetError

JUNIT = "junit.xml"


@dataclass(frozen=True)
class Outcome:
    """One test of the report: what it proves, figures that it measured, why it failed ("" if it did not)."""

    proves: str
    figures: tuple[str, ...]
    failure: str

    @property
    def line(self) -> str:
        """One line for the user."""
        figures = f" ({', '.join(self.figures)})" if self.figures else ""
        return f"  FAILED  {self.proves}: {self.failure}" if self.failure else f"  proved  {self.proves}{figures}"


def report(folder: Path) -> list[str]:
    """What the last run in ``folder`` proved, one line a test, and where to look."""
    outcomes = read_junit(folder / JUNIT)
    failed = [outcome for outcome in outcomes if outcome.failure]
    lines = [outcome.line for outcome in outcomes if not outcome.failure]
    for _, group in itertools.groupby(failed, lambda outcome: outcome.failure):
        first, *others = group
        lines += [first.line, *([f"          and {len(others)} more, for the same reason"] if others else [])]
    lines.append(f"{len(outcomes) - len(failed)} of {len(outcomes)} proved")
    lines.append(f"report: {folder / JUNIT}")
    return lines + [f"console of {console.name.removeprefix('console_')}: {console}" for console in consoles(folder)]


def place_for(junit: str) -> Path:
    """Where the user wants the report; raises CygnetError when no file can be there."""
    place = Path(junit)
    if place.is_dir() or not place.parent.is_dir():
        raise CygnetError(f"--junit={junit}: name a file, in a folder that is there")
    return place


def copy_report(folder: Path, to: Path | None) -> None:
    """Put the report of the last run in ``folder`` where the user wants it, too."""
    if not to:
        return
    new = to.with_name(f"{to.name}.new")
    try:
        shutil.copyfile(folder / JUNIT, new)
        new.replace(to)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise CygnetError(f"--junit={to}: {error.strerror}; the report is {folder / JUNIT}") from None


def consoles(folder: Path) -> list[Path]:
    """What the boxes said."""
    return sorted(folder.glob("console_*"))


def read_junit(file: Path) -> list[Outcome]:
    """The tests in a JUnit file that pytest wrote; a skipped one counts as failed: nothing was proved."""
    if not file.is_file():
        raise CygnetError(f"the acceptance tests left no report in {file}: their output above says why")
    cases = ElementTree.parse(file).getroot().iter("testcase")  # noqa: S314 - our own file
    return [_outcome(case) for case in cases]


def _outcome(case: ElementTree.Element) -> Outcome:
    found = {item.get("name", ""): item.get("value", "") for item in case.iter("property")}
    proves = found.pop("proves", f"{case.get('classname')}.{case.get('name')}")
    wrong = next((case.find(kind) for kind in ("failure", "error", "skipped") if case.find(kind) is not None), None)
    message = "" if wrong is None else _one_line(wrong.get("message") or wrong.tag)
    return Outcome(proves, tuple(f"{name} {value}" for name, value in found.items()), message)


def _one_line(message: str) -> str:
    """pytest's message without its frame, on one line."""
    return message.removeprefix('failed on setup with "').splitlines()[0].strip('"')[:240]
