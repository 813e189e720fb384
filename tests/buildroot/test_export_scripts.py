"""The scripts of the tree, run as Buildroot runs them: the root file system and the image are those of our own engine.

Host programs are stood in for: genimage by a few lines that read genimage.cfg, mkimage and the like by a note of what
they were told.  mke2fs is this machine's.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from export_project import board_of

from builder.boards import board_names
from builder.buildroot.board_files import kernel_file, tree_file
from builder.buildroot.export import export
from builder.image import firewall
from builder.image.header import read_header, verify
from builder.image.layout import MIB, partitions
from builder.image.loaders import grub, uboot
from builder.image.overlay import lay
from builder.plan import Project
from builder.run import Runner
from builder.settings import EPOCH, PROJECT, VERSION

BOARDS = board_names(PROJECT / "board")
DISKS = [name for name in BOARDS if board_of(name).disk]
FLASH = [name for name in BOARDS if board_of(name).flash]
GENIMAGE = f"""#!{sys.executable}
import re, sys
from pathlib import Path
text = Path(sys.argv[sys.argv.index("--config") + 1]).read_text()
name = re.search(r"^image (\\S+) {{", text, re.M)[1]
disk = bytearray(int(re.search(r"^\\tsize = (\\d+)", text, re.M)[1]))
for offset, size, image in re.findall(r'offset = (\\d+)\\s+size = (\\d+)\\s+image = "(.*)"', text):
    content = Path(image).read_bytes()
    assert len(content) <= int(size), image
    disk[int(offset) : int(offset) + len(content)] = content
Path(name).write_bytes(disk)
"""
# What is told where to write by -o, or at last, writes what it was told.
NOTE = """#!/bin/sh
to=
for word in "$@"; do
	[ "$last" != -o ] || to=$word
	last=$word
done
echo "${0##*/} $*" >"${to:-$last}"
"""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Buildroot's host directory."""
    folder = tmp_path / "host"
    for name in ("bin", "sbin"):
        (folder / name).mkdir(parents=True)
    (folder / "bin/python3").symlink_to(sys.executable)
    (folder / "sbin/mke2fs").symlink_to(shutil.which("mke2fs", path="/usr/sbin:/sbin") or "mke2fs is not installed")
    for name, text in {
        "bin/genimage": GENIMAGE,
        **dict.fromkeys(("bin/mkimage", "sbin/mkfs.ubifs", "sbin/ubinize"), NOTE),
    }.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def run(script: Path, argument: Path, tree: Path, host: Path, images: Path) -> subprocess.CompletedProcess[str]:
    """Run a script as Buildroot does."""
    environment = {
        "PATH": os.environ["PATH"], "HOST_DIR": str(host), "BINARIES_DIR": str(images), "BR2_EXTERNAL_CYGNET_PATH": str(tree),
    }  # fmt: skip
    return subprocess.run([script, argument], env=environment, capture_output=True, text=True)


def listing(root: Path) -> dict[str, tuple[str, object]]:
    """Kind, mode and content of all that is below ``root``."""
    found: dict[str, tuple[str, object]] = {}
    for place in sorted(root.rglob("*")):
        mode = stat.filemode(place.lstat().st_mode)
        content = place.readlink() if place.is_symlink() else place.read_bytes() if place.is_file() else None
        found[str(place.relative_to(root))] = (mode, content)
    return found


@pytest.mark.parametrize("name", BOARDS)
def test_the_root_file_system_gets_what_our_own_engine_gives_it(
    name: str, project: Project, tmp_path: Path, host: Path
) -> None:
    """Overlay, directories, links, modes and firewall rules: the same, over a target as Buildroot's packages leave it."""
    board, tree, images, target = board_of(name), tmp_path / "tree", tmp_path / "images", tmp_path / "target"
    export(project, tree, (name,))
    images.mkdir()
    (images / kernel_file(board)).write_bytes(b"kernel")
    for folder in ("etc/init.d", "root", "usr/share/udhcpc", "etc/network", "var"):
        (target / folder).mkdir(parents=True)
    (target / "etc/dropbear").symlink_to("/var/run/dropbear")
    (target / "etc/resolv.conf").symlink_to("../tmp/resolv.conf")
    for overlay in (tree / "board/cygnet/common/overlay", tree / "board/cygnet" / name / "overlay"):
        shutil.copytree(overlay, target, symlinks=True, dirs_exist_ok=True)
    done = run(tree / "board/cygnet" / name / "post-build.sh", target, tree, host, images)
    assert done.returncode == 0, done.stderr

    ours = tmp_path / "ours"
    ours.mkdir()
    overlays = (PROJECT / "overlay", board.folder / "overlay")
    for overlay in overlays:
        lay(overlay, ours, {"board": board, "version": VERSION, "epoch": EPOCH})
    firewall.render(PROJECT / "packages/cygnet", overlays, ours, tmp_path, Runner("test", tmp_path / "log"))
    expected, found = listing(ours), listing(target)
    if board.loader == "grub-pc":
        assert found.pop("boot/vmlinuz") == ("-rw-r--r--", b"kernel")
    leftover = {path for path in found if path not in expected}
    # What packages lay there.
    assert leftover <= {"usr/share", "boot", "usr/share/dns", "usr/share/dns/root.ds"}
    assert {path: found[path] for path in expected} == expected
    again = run(tree / "board/cygnet" / name / "post-build.sh", target, tree, host, images)
    assert again.returncode == 0, again.stderr
    assert {path: value for path, value in listing(target).items() if path in expected} == expected


@pytest.mark.parametrize("name", DISKS)
def test_the_disk_is_laid_out_and_signed_as_our_own(name: str, project: Project, tmp_path: Path, host: Path) -> None:
    board, tree, images = board_of(name), tmp_path / "tree", tmp_path / "images"
    export(project, tree, (name,))
    images.mkdir()
    root = b"squashfs" * 4096
    for file, content in {
        "rootfs.squashfs": root,
        kernel_file(board): b"kernel",
        "boot.img": b"B" * 512,
        "grub.img": b"G" * 5000,
    }.items():
        (images / file).write_bytes(content)
    done = run(tree / "board/cygnet" / name / "post-image.sh", images, tree, host, images)
    assert done.returncode == 0, done.stderr
    header, disk = verify(images / "disk.img"), (images / "disk.img").read_bytes()
    parts = partitions(board.need_disk())
    assert (header.board, header.size, header.data_start) == (name, len(disk), parts["data"].start)
    for slot in ("slot-a", "slot-b"):
        assert disk[parts[slot].start :].startswith(root)
    if board.loader == "grub-pc":
        assert disk[:440] == b"B" * 440
        assert disk[512 : 512 + 5000] == b"G" * 5000
        assert grub.environment_block(slot="a") in disk[parts["boot"].start : parts["slot-a"].start]
    if board.loader == "u-boot":
        assert disk[512:1024] == uboot.environment(slot="a")
        kernel_at = parts["slot-b"].start + (board.need_disk().slot_mib - board.need_disk().kernel_mib) * MIB
        assert disk[kernel_at:].startswith(b"mkimage -f kernel.its kernel.itb\n")


@pytest.mark.parametrize("name", FLASH)
def test_the_files_for_bare_flash_are_told_to_the_programs_and_signed_as_our_own(
    name: str, project: Project, tmp_path: Path, host: Path
) -> None:
    board, tree, images = board_of(name), tmp_path / "tree", tmp_path / "images"
    export(project, tree, (name,))
    images.mkdir()
    for file in ("rootfs.squashfs", kernel_file(board), tree_file(board)):
        (images / file).write_text(file)
    done = run(tree / "board/cygnet" / name / "post-image.sh", images, tree, host, images)
    assert done.returncode == 0, done.stderr
    assert verify(images / "ubi.img").board == name
    assert verify(images / "kernel.uimage").size % board.need_flash().page == 0
    assert (images / "u-boot.txt").read_text() == (tree / "board/cygnet" / name / "u-boot.txt").read_text()
    words = shlex.split((images / "ubi.img").read_text())
    assert words[words.index("-p") + 1] == str(board.need_flash().block)
    assert words[-1] == str(tree / "board/cygnet" / name / "ubinize.ini")


def test_a_root_file_system_that_does_not_fit_is_one_sentence(project: Project, tmp_path: Path, host: Path) -> None:
    tree, images = tmp_path / "tree", tmp_path / "images"
    export(project, tree, ("armv7",))
    images.mkdir()
    (images / "zImage").write_bytes(b"kernel")
    with (images / "rootfs.squashfs").open("wb") as file:
        file.truncate(12 * MIB + 7)
    done = run(tree / "board/cygnet/armv7/post-image.sh", images, tree, host, images)
    assert (done.returncode, done.stderr) == (1, "armv7: rootfs.squashfs is 7 bytes larger than its part of a slot\n")


def test_a_disk_whose_bytes_change_is_found_by_the_header(project: Project, tmp_path: Path, host: Path) -> None:
    """Were the script's hash of other bytes than the header says, this and all above would not notice; here it would."""
    tree, images = tmp_path / "tree", tmp_path / "images"
    export(project, tree, ("armv5",))
    images.mkdir()
    for file in ("rootfs.squashfs", "zImage"):
        (images / file).write_text(file)
    assert run(tree / "board/cygnet/armv5/post-image.sh", images, tree, host, images).returncode == 0
    with (images / "disk.img").open("r+b") as disk:
        disk.seek(read_header(images / "disk.img").data_start - 1)
        disk.write(b"x")
    with pytest.raises(Exception, match="is damaged"):
        verify(images / "disk.img")


@pytest.mark.parametrize("name", BOARDS)
def test_the_scripts_are_plain_shell(name: str, project: Project, tmp_path: Path) -> None:
    tree = export(project, tmp_path / "tree", (name,))
    scripts = sorted((tree / "board/cygnet" / name).glob("*.sh"))
    done = subprocess.run(
        [Path(sys.executable).with_name("shellcheck"), "--shell=sh", *scripts], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
