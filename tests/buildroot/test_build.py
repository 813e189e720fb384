"""`./inv buildroot build`: a build by a Buildroot of a few lines (fake.py), which fails, hangs and goes on as asked."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fake import DEFCONFIG, SHA256, make_buildroot, make_external, show_info

from builder.boards import load_board
from builder.buildroot import sbom
from builder.buildroot.build import Build, make_image
from builder.buildroot.checkout import look
from builder.buildroot.drive import Make
from builder.buildroot.output import Output
from builder.buildroot.sources import fill
from builder.errors import CygnetError, Interrupted, StepFailed
from builder.image.header import verify
from builder.plan import Project
from builder.progress import Lines
from builder.run import Children
from builder.settings import PROJECT, settings

BOARD = load_board(PROJECT / "board", "armv5")


@dataclass
class Bench:
    """A fake Buildroot, an external tree, and where its images go."""

    buildroot: Path
    external: Path
    this: Build

    def build(self, menuconfig: bool = False) -> Path:
        """Build once, by what the files say now."""
        make = replace(self.this.make, checkout=look(self.buildroot), children=Children())
        return make_image(replace(self.this, make=make), menuconfig)

    @property
    def output(self) -> Path:
        """Buildroot's output folder."""
        return self.this.output.folder

    def stamps(self) -> set[str]:
        """The packages that are done."""
        return {place.parent.name for place in self.output.glob("build/*/.stamp_installed")}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    buildroot, external = make_buildroot(tmp_path / "br"), make_external(tmp_path / "external")
    output = Output(tmp_path / "output")
    output.folder.mkdir()
    project = Project(replace(settings(), images=tmp_path / "images"), Lines(), jobs=3)
    make = Make(look(buildroot), external, output.folder, tmp_path / "cache", tmp_path / "log")
    return Bench(buildroot, external, Build(project, BOARD, make, output))


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """It interrupts, also where the tests were started in the background, whose shell has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def running(word: str) -> list[str]:
    """The processes whose command line has that word."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if word.encode() in (process / "cmdline").read_bytes().split(b"\0"):
                found.append(process.name)
    return found


def test_an_image_of_the_same_form(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    image = bench.build()
    assert verify(image).board == "armv5"
    folder = image.parent
    names = {"disk.img", "rootfs.squashfs", "kernel", "device-tree.dtb", "sbom.json", ".built"}
    assert {file.name for file in folder.iterdir()} == names
    assert (folder / "kernel").read_text() == "zImage of Buildroot\n"
    assert b"rootfs.squashfs of Buildroot" in image.read_bytes()
    assert json.loads((folder / "sbom.json").read_text())["metadata"]["component"]["name"] == "cygnet-armv5"
    shown = capsys.readouterr().out
    assert "4 steps, 0 from cache, 4 to do" in shown
    for line in (
        "fetching zlib 1.3.1",
        "[0/4] host-gcc-final 14.4.0 ...",
        "[2/4] own ...",
        "[4/4] linux 6.18.7 done in",
    ):
        assert line in shown
    assert "Generating filesystem image rootfs.squashfs" in shown
    assert bench.this.output.config.read_text().count("BR2_JLEVEL=3") == 1


def test_a_package_that_fails_is_shown_and_the_next_call_goes_on(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    (bench.buildroot / "fail").write_text("zlib\n")
    with pytest.raises(StepFailed) as failure:
        bench.build()
    text = str(failure.value)
    assert text.startswith(
        f"Buildroot, zlib: make ended with status 2. The log is {bench.this.make.log}; its last lines:\n"
    )
    assert "zlib.c:5:1: error: unknown type name 'z'" in text
    assert "host-gcc-final 14.4.0 Building" not in text
    assert "host-gcc-final 14.4.0 Building" in bench.this.make.log.read_text()
    assert not (bench.this.project.settings.images).exists()
    (bench.buildroot / "fail").write_text("")
    capsys.readouterr()
    bench.build()
    shown = capsys.readouterr().out
    assert "4 steps, 1 from cache, 3 to do" in shown
    assert "interrupted" not in shown, "what was fetched and not begun yet is whole"


@pytest.mark.usefixtures("ctrl_c")
def test_an_interrupted_build_goes_on_and_is_not_patched_twice(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    (bench.buildroot / "hang").write_text("linux\n")
    half, alive = bench.output / "build/linux-6.18.7/unpacked", list[str]()

    def interrupt() -> None:
        while not half.exists():
            time.sleep(0.01)
        alive.extend(running(f"O={bench.output}"))
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(Interrupted):
        bench.build()
    assert alive
    assert not running(f"O={bench.output}")
    (bench.buildroot / "hang").write_text("")
    bench.build()
    assert "linux-6.18.7 was interrupted while it was unpacked: it is unpacked again" in capsys.readouterr().out
    assert "linux-6.18.7" in bench.stamps()


def test_a_second_call_builds_nothing_again(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    image = bench.build()
    first = image.read_bytes()
    capsys.readouterr()
    assert bench.build().read_bytes() == first
    shown = capsys.readouterr().out
    assert "Building" not in shown
    assert "steps," not in shown, "there is nothing to do"


def test_a_package_of_ours_that_changed_is_built_again(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.build()
    (bench.external / "package/own/own.mk").write_text("OWN_LICENSE = MIT\n")
    capsys.readouterr()
    bench.build()
    shown = capsys.readouterr().out
    assert "own has changed: it is built again" in shown
    assert "4 steps, 3 from cache, 1 to do" in shown


def test_options_that_vanished_are_named(bench: Bench) -> None:
    defconfig = bench.external / "configs/cygnet_armv5_defconfig"
    defconfig.write_text(DEFCONFIG + 'BR2_GONE=y\nBR2_ALSO_GONE="with a value"\n# BR2_NEVER_WAS is not set\n')
    with pytest.raises(CygnetError) as failure:
        bench.build()
    assert str(failure.value) == (
        "Buildroot 2026.05.1 does not take BR2_ALSO_GONE, BR2_GONE of cygnet_armv5_defconfig: it has no such options, "
        f"or they need others; compare {bench.output}/asked_defconfig with {bench.output}/.config"
    )
    assert not bench.stamps()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("release", "holds a build by Buildroot 2026.05.1, and this is 2026.02.3"),
        ("configuration", "was built with another configuration (BR2_arm, BR2_x86_64)"),
        ("removed", "was built with another configuration (BR2_PACKAGE_ZLIB)"),
        ("foreign", "holds a build that ./inv buildroot did not begin"),
    ],
)
def test_an_output_that_cannot_be_gone_on_with_is_left_alone(bench: Bench, change: str, sentence: str) -> None:
    bench.build()
    defconfig = bench.external / "configs/cygnet_armv5_defconfig"
    if change == "release":
        makefile = bench.buildroot / "Makefile"
        makefile.write_text(makefile.read_text().replace("2026.05.1", "2026.02.3"))
    elif change == "configuration":
        defconfig.write_text(DEFCONFIG.replace("BR2_arm=y", "BR2_x86_64=y"))
    elif change == "removed":
        defconfig.write_text(DEFCONFIG.replace("BR2_PACKAGE_ZLIB=y", "# BR2_PACKAGE_ZLIB is not set"))
    else:
        (bench.output / "cygnet.json").unlink()
    before = bench.stamps()
    with pytest.raises(CygnetError) as failure:
        bench.build()
    wanted = f"{bench.output} {sentence}: it cannot be gone on with; to begin anew, rm -r {bench.output}"
    assert str(failure.value) == wanted
    assert bench.stamps() == before


def test_what_the_other_engine_has_fetched_is_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("BR2_DL_DIR", raising=False)
    source = b"what Debian calls zlib_1.3.1.orig.tar.xz"
    sha256 = hashlib.sha256(source).hexdigest()
    hashes = bench.buildroot / "package/zlib/zlib.hash"
    hashes.write_text(hashes.read_text().replace(SHA256, sha256))
    ours = tmp_path / "downloads" / sha256
    ours.mkdir(parents=True)
    fill(sbom.read(show_info()), replace(bench.this.make, checkout=look(bench.buildroot)), tmp_path / "downloads")
    assert not (tmp_path / "cache/dl").exists()
    (ours / "zlib_1.3.1.orig.tar.xz.part").write_bytes(source[:5])
    (ours / "zlib_1.3.1.orig.tar.xz").write_bytes(source)
    fill(sbom.read(show_info()), replace(bench.this.make, checkout=look(bench.buildroot)), tmp_path / "downloads")
    assert [file.name for file in (tmp_path / "cache/dl").rglob("*.*")] == ["zlib-1.3.1.tar.xz"]
    assert (tmp_path / "cache/dl/zlib/zlib-1.3.1.tar.xz").read_bytes() == source


def test_an_output_that_was_only_configured_is_taken(bench: Bench) -> None:
    (bench.output / "build/buildroot-config").mkdir(parents=True)
    (bench.output / ".config").write_text("BR2_x86_64=y\n")
    bench.build()


def test_a_package_more_is_built_on_what_is_there(bench: Bench) -> None:
    bench.build()
    defconfig = bench.external / "configs/cygnet_armv5_defconfig"
    defconfig.write_text(DEFCONFIG.replace("# BR2_PACKAGE_OWN is not set", "BR2_PACKAGE_OWN=y"))
    bench.build()


def test_what_the_user_chose_in_the_menu_stays(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.build(menuconfig=True)
    chosen = bench.this.chosen
    assert chosen.read_text() == "BR2_PACKAGE_OWN=y\n"
    assert f"what you chose is kept in {chosen}" in capsys.readouterr().out
    bench.build()
    assert "BR2_PACKAGE_OWN=y" in bench.this.output.config.read_text()
    chosen.write_text("BR2_TYPED_WRONG=y\n")
    with pytest.raises(CygnetError, match=f"does not take BR2_TYPED_WRONG of {chosen}"):
        bench.build()
