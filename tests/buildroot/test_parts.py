"""What Buildroot says, taken apart: its lines while it builds, its configuration, show-info as a bill of materials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake import SHA256, make_buildroot, show_info

from builder.boards import load_board
from builder.buildroot import configuration, sbom
from builder.buildroot.checkout import look
from builder.buildroot.drive import Make
from builder.buildroot.progress import Watch
from builder.errors import CygnetError, StepFailed
from builder.papers.sbom import dump, validate
from builder.settings import PROJECT

BOARD = load_board(PROJECT / "board", "armv5")
# Buildroot 2026.05.1, qemu_x86_defconfig without a network; host-skeleton had been built before.
NO_NETWORK = """\
make[1]: Entering directory '/src/buildroot'
>>> host-skeleton  Extracting
>>> host-skeleton  Installing to host directory
# check-package DoNotInstallToHostdirUsr
>>> host-pkgconf 2.3.0 Downloading
wget -nd -t 3 --connect-timeout=10 -O '/o/build/.pkgconf-2.3.0.tar.xz.c5M5uI/output' 'https://distfiles.ariadne.space/pkgconf/pkgconf-2.3.0.tar.xz'
wget: unable to resolve host address 'distfiles.ariadne.space'

make: *** [package/pkg-generic.mk:179: /o/build/host-pkgconf-2.3.0/.stamp_downloaded] Error 1
"""
# The same, on a machine without rsync.
NO_RSYNC = """\
You must install 'rsync' on your build machine
make: *** [support/dependencies/dependencies.mk:27: dependencies] Error 1
"""


class Told:
    """Keeps what it is told of a build."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def plan(self, total: int, cached: int) -> None:
        self.words.append(f"plan {total} {cached}")

    def started(self, name: str) -> None:
        self.words.append(f"started {name}")

    def finished(self, name: str, seconds: float) -> None:
        assert seconds >= 0
        self.words.append(f"finished {name}")

    def say(self, sentence: str) -> None:
        self.words.append(f"say {sentence}")


def watch(folder: Path, text: str, *names: str) -> tuple[Told, Watch]:
    told = Told()
    packages = {name.rpartition("-")[0] or name: folder / "build" / name for name in names}
    found = Watch(told, packages)
    for line in text.splitlines():
        found.line(line + "\n")
    found.end()
    return told, found


def test_the_package_whose_source_is_missing(tmp_path: Path) -> None:
    told, found = watch(tmp_path, NO_NETWORK, "host-skeleton-", "host-pkgconf-2.3.0")
    assert told.words == ["plan 2 0", "started host-skeleton", "say fetching host-pkgconf 2.3.0"]
    assert found.failed == "host-pkgconf"
    assert found.tail[0] == ">>> host-pkgconf 2.3.0 Downloading"
    assert found.tail[-1].endswith("/host-pkgconf-2.3.0/.stamp_downloaded] Error 1")
    assert not any("host-skeleton" in line for line in found.tail)


def test_a_machine_that_lacks_a_program(tmp_path: Path) -> None:
    _, found = watch(tmp_path, NO_RSYNC, "zlib-1.3.1")
    assert found.failed == ""
    assert found.tail == NO_RSYNC.splitlines()


def test_packages_that_are_done_and_lines_that_stand_out(tmp_path: Path) -> None:
    done, other = (tmp_path / "build" / name for name in ("zlib-1.3.1", "linux-6.18.7"))
    done.mkdir(parents=True)
    other.mkdir()
    told = Told()
    found = Watch(told, {"zlib": done, "linux": other})
    found.line("\x1b[7m>>> zlib 1.3.1 Building\x1b[27m\n")
    for noise in (">>> this is What a program says\n", ">>> x = Test()\n"):
        found.line(noise)
    (done / ".stamp_installed").touch()
    found.line(">>> linux 6.18.7 Building\r\n")
    found.line(">>>   Finalizing target directory\n")
    assert told.words == [
        "plan 2 0", "started zlib 1.3.1", "finished zlib 1.3.1", "started linux 6.18.7",
        "say Finalizing target directory",
    ]  # fmt: skip
    again = Told()
    Watch(again, {"zlib": done, "linux": other})
    assert again.words == ["plan 2 1"]


def test_the_package_that_failed_is_the_one_that_make_names(tmp_path: Path) -> None:
    """With several at once another one may have spoken last."""
    text = """\
>>> zlib 1.3.1 Building
zlib.c:5: error
>>> linux 6.18.7 Building
make[1]: *** [package/pkg-generic.mk:273: /o/build/zlib-1.3.1/.stamp_built] Error 2
make: *** [Makefile:84: _all] Error 2
"""
    _, found = watch(tmp_path, text, "zlib-1.3.1", "linux-6.18.7")
    assert (found.failed, found.tail) == ("zlib", [">>> zlib 1.3.1 Building", "zlib.c:5: error"])


CONFIG = """\
#
# Automatically generated file; DO NOT EDIT.
# Buildroot 2026.05.1 Configuration
BR2_arm=y
# BR2_x86_64 is not set
BR2_ROOTFS_OVERLAY="$(BR2_EXTERNAL_CYGNET_PATH)/board/a b"
BR2_JLEVEL=2
CONFIG_OTHER=y
"""


def test_a_configuration_is_read_and_written() -> None:
    symbols = configuration.read(CONFIG)
    assert symbols == {
        "BR2_arm": "y", "BR2_x86_64": "n", "BR2_JLEVEL": "2",
        "BR2_ROOTFS_OVERLAY": '"$(BR2_EXTERNAL_CYGNET_PATH)/board/a b"',
    }  # fmt: skip
    assert configuration.read(configuration.write(symbols)) == symbols
    assert configuration.lost({"BR2_arm": "y", "BR2_x86_64": "n", "BR2_NEW": "n"}, symbols) == []
    assert configuration.lost({"BR2_arm": "n", "BR2_JLEVEL": "3", "BR2_NEW": '"x"'}, symbols) == [
        "BR2_JLEVEL", "BR2_NEW", "BR2_arm",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "before", "after", "conflict"),
    [
        ("BR2_PACKAGE_HTOP", "n", "y", False),
        ("BR2_PACKAGE_HTOP", "y", "n", True),
        ("BR2_TOOLCHAIN_BUILDROOT_CXX", "n", "y", True),
        ("BR2_GCC_VERSION", '"14"', '"15"', True),
        ("BR2_JLEVEL", "2", "4", False),
        ("BR2_PRIMARY_SITE", '""', '"file:///srv/sources"', False),
        ("BR2_KERNEL_MIRROR", '"a"', '"b"', False),
        ("BR2_TARGET_ROOTFS_SQUASHFS", "n", "y", False),
    ],
)
def test_what_a_build_can_go_on_with(name: str, before: str, after: str, conflict: bool) -> None:
    assert configuration.conflicts({name: before}, {name: after}) == ([name] if conflict else [])


def test_many_symbols_are_counted() -> None:
    assert configuration.words(["a", "b"]) == "a, b"
    assert configuration.words([str(number) for number in range(10)]) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"


def bill(folder: Path) -> dict[str, Any]:
    checkout = look(make_buildroot(folder))
    text = dump(sbom.make(BOARD, checkout, sbom.read(show_info()), []))
    validate(text)
    assert text == dump(sbom.make(BOARD, checkout, sbom.read(show_info()), [])), "the same each time"
    return dict(json.loads(text))


def test_show_info_as_a_bill_of_materials(tmp_path: Path) -> None:
    found = bill(tmp_path / "br")
    parts = {one["name"]: one for one in found["components"]}
    assert set(parts) == {"zlib", "own", "linux", "host-gcc-final"}
    zlib, compiler = parts["zlib"], parts["host-gcc-final"]
    address = "https://www.zlib.net/zlib-1.3.1.tar.xz"
    assert zlib["version"] == "1.3.1"
    assert zlib["licenses"] == [{"expression": "Zlib"}]
    assert zlib["cpe"] == "cpe:2.3:a:zlib:zlib:1.3.1:*:*:*:*:*:*:*"
    assert zlib["purl"].startswith("pkg:generic/zlib@1.3.1?download_url=https:")
    assert zlib["externalReferences"] == [
        {
            "type": "source-distribution", "url": address, "comment": "zlib-1.3.1.tar.xz",
            "hashes": [{"alg": "SHA-256", "content": SHA256}],
        }
    ]  # fmt: skip
    assert zlib["pedigree"]["patches"][0]["diff"]["url"].startswith("package/zlib/0001-fix.patch#sha256=")
    assert zlib["properties"] == [{"name": "cygnet:linked-only", "value": "true"}]
    assert (compiler["scope"], compiler["type"]) == ("excluded", "application")
    # SPDX does not know the second.
    assert parts["own"]["licenses"] == [{"license": {"id": "GPL-2.0-or-later"}}, {"license": {"name": "bzip2-1.0.4"}}]
    assert parts["own"]["version"] == "2026.05.1", "a package without a version is Buildroot's own"
    assert "externalReferences" not in parts["own"], "a folder on this machine is nobody's address"
    assert (parts["linux"]["version"], parts["linux"].get("cpe")) == ("6.12.107", None)


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("https+https://a.example/pub", "https://a.example/pub/x-1.tar.gz"),
        ("https|urlencode+https://a.example/pub/", "https://a.example/pub/x-1.tar.gz"),
        ("https+https://a.example/ab/x-1.0.tar.gz?buildroot-path=filename", "https://a.example/ab/x-1.0.tar.gz"),
        ("local+/home/me/x", ""),
        ("git+ssh://a.example/x", ""),
    ],
)
def test_where_a_source_comes_from(uri: str, address: str) -> None:
    assert sbom.Download("x-1.tar.gz", [uri, "https+https://mirror.example"]).address == address


def test_what_depends_on_what(tmp_path: Path) -> None:
    """A virtual package is what stands behind it; what is only linked is not the image's but its user's."""
    needs = {one["ref"]: one.get("dependsOn", []) for one in bill(tmp_path / "br")["dependencies"]}
    assert needs["image"] == ["linux", "own"]
    assert needs["linux"] == ["zlib"]


@pytest.mark.parametrize(
    ("text", "licences"),
    [
        ("GPL-2.0", ["GPL-2.0-only"]),
        ("GPL-2.0+ (programs), LGPL-2.1+ (libraries)", ["GPL-2.0-or-later AND LGPL-2.1-or-later"]),
        ("BSD-3-Clause or GPL-2.0", ["BSD-3-Clause OR GPL-2.0-only"]),
        ("MIT or Apache-2.0, Zlib", ["(MIT OR Apache-2.0) AND Zlib"]),
        ("GPL-3.0+ with exceptions, Unicode thing", ["GPL-3.0+ with exceptions", "Unicode thing"]),
        ("MIT or Zlib, Public domain, GPL-2.0", ["MIT or Zlib", "Public domain", "GPL-2.0-only"]),
        ("unknown", []),
        ("", []),
    ],
)
def test_licences(text: str, licences: list[str]) -> None:
    found = sbom.licences(text, Path("package/x"))
    words = [getattr(one, "value", None) or getattr(one, "id", None) or getattr(one, "name", None) for one in found]
    assert words == licences


def test_a_show_info_of_another_form() -> None:
    with pytest.raises(CygnetError, match=r"show-info is of a form that is not known here: .*type"):
        sbom.read({"zlib": {"name": "zlib"}})


def test_a_show_info_that_is_none(tmp_path: Path) -> None:
    buildroot, log = make_buildroot(tmp_path / "br"), tmp_path / "log"
    make = Make(look(buildroot), tmp_path, tmp_path, tmp_path, log)
    assert make.show_info()["zlib"]["version"] == "1.3.1"
    (buildroot / "show-info.json").write_text("make: Nothing to be done for 'show-info'.\n")
    with pytest.raises(CygnetError, match=rf"{buildroot}: show-info says no JSON \(.*\); see {log}"):
        make.show_info()
    with pytest.raises(StepFailed, match=r"make no-such-target ended with status 2\. (?s:.*)No rule to make target"):
        make.run("no-such-target")
