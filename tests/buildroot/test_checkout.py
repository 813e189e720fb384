"""Which Buildroot is used: checkouts, tarballs and addresses, releases, and what is said of all else."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from fake import make_buildroot

from builder.buildroot.checkout import find, look
from builder.buildroot.release import SUPPORTED, parse
from builder.errors import CygnetError
from builder.settings import Settings

NEWER = "Buildroot {} is newer than what Cygnet is made for and tested with, 2026.02 and 2026.05: it may work, and what it lacks will be named"


@pytest.mark.parametrize(
    ("name", "than"),
    [
        ("2026.05", ""),
        ("2026.05.1", ""),
        ("2026.02.12", ""),
        ("2025.11.3", "older"),
        ("2025.02.16", "older"),
        ("2026.05-rc4", "older"),
        ("2026.08-rc1", "newer"),
        ("2026.08-git", "newer"),
        ("2026.08", "newer"),
    ],
)
def test_releases(name: str, than: str) -> None:
    release = parse(name)
    assert release is not None
    assert release.warning == (NEWER.format(name).replace("newer", than) if than else "")


def test_no_release() -> None:
    assert [parse(name) for name in ("", "5.10", "2026", "2026.05.1; rm", "v2026.05", "2026.05-rc")] == [None] * 6
    assert list(SUPPORTED) == sorted(SUPPORTED)


def settings_of(folder: Path, buildroot: str = "") -> Settings:
    return Settings(cache=folder / "cache", buildroot=buildroot)


def test_a_folder(tmp_path: Path) -> None:
    place = make_buildroot(tmp_path / "br", "2026.02.3")
    for given, setting in ((str(place), ""), (str(place), "/elsewhere"), ("", str(place))):
        found = find(given, settings_of(tmp_path, setting))
        assert (found.folder, found.release.name) == (place, "2026.02.3")


def test_a_tarball_is_unpacked_once(tmp_path: Path) -> None:
    make_buildroot(tmp_path / "buildroot-2026.05.1")
    tarball = tmp_path / "buildroot-2026.05.1.tar.xz"
    subprocess.run(["tar", "-cJf", tarball, "-C", tmp_path, "buildroot-2026.05.1"], check=True)
    found = find(str(tarball), settings_of(tmp_path))
    assert found.folder.is_relative_to(tmp_path / "cache")
    assert found.release.name == "2026.05.1"
    (found.folder / "kept").touch()
    assert find(str(tarball), settings_of(tmp_path)) == found
    assert (found.folder / "kept").exists()


def test_an_address_with_its_hash(tmp_path: Path) -> None:
    make_buildroot(tmp_path / "buildroot-2026.05.1")
    tarball = tmp_path / "buildroot.tar"
    subprocess.run(["tar", "-cf", tarball, "-C", tmp_path, "buildroot-2026.05.1"], check=True)
    sha256 = hashlib.sha256(tarball.read_bytes()).hexdigest()
    settings = settings_of(tmp_path)
    # What was downloaded before is not asked for again: this address has nobody behind it.
    place = settings.downloads / sha256 / "buildroot.tar"
    place.parent.mkdir(parents=True)
    tarball.rename(place)
    assert find(f"https://127.0.0.1:9/buildroot.tar#sha256={sha256}", settings).release.name == "2026.05.1"


NO_HASH = "https://127.0.0.1:9/b.tar.xz: an address needs the tarball's hash behind it, ...tar.xz#sha256=..."
NOBODY = f"https://127.0.0.1:9/b.tar.xz#sha256={'0' * 64}"


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("", "which Buildroot? Name a checkout or a release tarball, --buildroot=..., or set CYGNET_BUILDROOT"),
        ("{}/nowhere", "{}/nowhere is not there: --buildroot= or CYGNET_BUILDROOT names a checkout or a tarball"),
        ("{}/empty", "{}/empty is no Buildroot: it has no Makefile; name the top folder of a checkout or a release tarball"),
        ("{}/br/package", "{}/br/package is no Buildroot: it has no Makefile; name the top folder of a checkout or a release tarball"),
        ("{}/kernel", "{}/kernel is no Buildroot: it has no Config.in; name the top folder of a checkout or a release tarball"),
        ("{}/other", "{}/other is no Buildroot: its Makefile names no release (BR2_VERSION); name the top folder of a checkout or a release tarball"),
        ("{}/a place", "{}/a place: Buildroot cannot be in a folder with ' ' in its path; move it"),
        ("{}/text", "{}/text is no Buildroot: it is neither a folder nor a tarball"),
        ("https://127.0.0.1:9/b.tar.xz", NO_HASH),
        (NOBODY, "https://127.0.0.1:9/b.tar.xz: "),
    ],
)  # fmt: skip
def test_what_is_no_buildroot(tmp_path: Path, place: str, sentence: str) -> None:
    make_buildroot(tmp_path / "br")
    make_buildroot(tmp_path / "a place")
    make_buildroot(tmp_path / "other", "5.10")
    for name in ("empty", "kernel"):
        (tmp_path / name).mkdir()
    (tmp_path / "kernel/Makefile").write_text("VERSION = 6\n")
    (tmp_path / "text").write_text("no tarball\n")
    with pytest.raises(CygnetError) as failure:
        find(place.format(tmp_path), settings_of(tmp_path))
    assert str(failure.value).startswith(sentence.format(tmp_path))
    assert "\n" not in str(failure.value)


def test_nothing_half_unpacked_is_taken(tmp_path: Path) -> None:
    (tmp_path / "x/other").mkdir(parents=True)
    tarball = tmp_path / "other.tar"
    subprocess.run(["tar", "-cf", tarball, "-C", tmp_path, "x"], check=True)
    for _ in range(2):
        with pytest.raises(CygnetError, match="is no Buildroot: it has no Makefile"):
            find(str(tarball), settings_of(tmp_path))
    with pytest.raises(CygnetError):
        look(tmp_path / "cache/buildroot/releases")
