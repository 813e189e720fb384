"""Coverage-guided fuzzing of our own packages: packages/*/tests/fuzz/fuzz_*.py, targets for atheris (libFuzzer).

What a run found out is kept input by input in the cache (fuzz/<target>/corpus), so that the next one goes on from
there; an input that fails is kept beside it.  Seeds that a target brings are in <target's folder>/seeds/<target>.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from builder.errors import CygnetError, Interrupted
from builder.settings import Settings

# libFuzzer's own limits for one input: what costs more is a finding.
LIMITS = ("-timeout=5", "-rss_limit_mb=1024", "-max_len=65535")
GRACE_SECONDS = 10


def targets(project: Path) -> list[Path]:
    """Every target, by path."""
    return sorted(project.glob("packages/*/tests/fuzz/fuzz_*.py"))


def fuzz(settings: Settings, minutes: float) -> None:
    """Give each target its share of ``minutes``; 0 is until Ctrl-C, of the first. Raises CygnetError for a finding."""
    found = targets(settings.project)
    if not found:
        raise CygnetError("there is nothing to fuzz: no file packages/*/tests/fuzz/fuzz_*.py")
    for target in found:
        _run(target, settings.cache / "fuzz" / target.stem, round(60 * minutes / len(found)))


def _run(target: Path, folder: Path, seconds: int) -> None:
    corpus, findings, seeds = folder / "corpus", folder / "findings", target.parent / "seeds" / target.stem
    for place in (corpus, findings):
        place.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, str(target), str(corpus), *([str(seeds)] if seeds.is_dir() else [])]
    words += [*LIMITS, f"-max_total_time={seconds}", f"-artifact_prefix={findings}/"]
    before = set(findings.iterdir())
    package = target.parents[2]
    process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(package / "src")})
    try:
        status = process.wait()
    except KeyboardInterrupt:
        _end(process)
        raise Interrupted from None
    if status:
        new = sorted(set(findings.iterdir()) - before)
        again = f"PYTHONPATH={package}/src {sys.executable} {target} {new[0]}" if new else "its output is above"
        raise CygnetError(f"{target.name} ended with status {status}; to see it again: {again}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C reached it too; it writes its figures and ends."""
    with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
        process.wait(GRACE_SECONDS)
        return
    process.send_signal(signal.SIGKILL)
    process.wait()
