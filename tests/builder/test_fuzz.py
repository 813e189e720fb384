"""`./inv fuzz`: what it finds is named and kept, and the next run goes on from there."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import CygnetError
from builder.fuzz import fuzz
from builder.settings import Settings

TARGET = """\
import sys
import atheris

@atheris.instrument_func
def one(data):
    if data[:1] == b"c" and {weak}:
        raise RuntimeError("found")

atheris.Setup(sys.argv, one)
atheris.Fuzz()
"""


def project(folder: Path, weak: bool) -> Settings:
    target = folder / "packages/toy/tests/fuzz/fuzz_toy.py"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(TARGET.format(weak=weak))
    return Settings(cache=folder / "cache", project=folder)


def test_nothing_to_fuzz_is_said(tmp_path: Path) -> None:
    with pytest.raises(CygnetError, match="nothing to fuzz"):
        fuzz(Settings(cache=tmp_path, project=tmp_path), 1)


def test_a_finding_is_kept_and_the_next_run_begins_with_it(tmp_path: Path) -> None:
    # Given a run that learnt inputs and found nothing
    fuzz(project(tmp_path, weak=False), 0.02)
    corpus = tmp_path / "cache/fuzz/fuzz_toy/corpus"
    assert b"c" in {file.read_bytes()[:1] for file in corpus.iterdir()}
    # when the target is broken and run again
    with pytest.raises(CygnetError, match=r"fuzz_toy.py ended with status \d+; to see it again: .*crash-") as error:
        fuzz(project(tmp_path, weak=True), 1)
    # then the input that does it is there.
    assert Path(str(error.value).split()[-1]).read_bytes()[:1] == b"c"
