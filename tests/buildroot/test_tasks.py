"""`./inv buildroot` as a user types it: what is wrong is said in one sentence, before anything is built."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake import make_buildroot

from builder.buildroot.tasks import run
from builder.errors import CygnetError
from builder.settings import PROJECT


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("bild", "", "", "", False), "No action of ./inv buildroot is called 'bild'; did you mean build?"),
        (("build", "armv5", "/x", "", False), "--out=/x: only ./inv buildroot export writes there; an image goes to"),
        (("export", "", "/x", "", True), "--buildroot and --menuconfig are of ./inv buildroot build"),
        (("export", "", "", "", False), "where to? --out=DIR names the folder that becomes the external tree"),
        (
            ("build", "armv5", "", "", False),
            "which Buildroot? Name a checkout or a release tarball, --buildroot=..., or",
        ),
        (("build", "armv6", "", "", False), "No board is called 'armv6'; did you mean armv"),
    ],
)
def test_what_is_wrong(words: tuple[str, str, str, str, bool], sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CYGNET_BUILDROOT", raising=False)
    with pytest.raises(CygnetError) as failure:
        run(*words, jobs=0)
    assert str(failure.value).startswith(sentence)
    assert "\n" not in str(failure.value)


def test_the_setting_names_a_buildroot(tmp_path: Path) -> None:
    place = make_buildroot(tmp_path / "br", "five")
    environment = {**os.environ, "CYGNET_BUILDROOT": str(place)}
    command = [sys.executable, "-m", "invoke", "buildroot", "build", "--board=armv5"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {place} is no Buildroot: its Makefile names no release (BR2_VERSION)")
    assert done.stderr.count("\n") == 1
