"""The data partition: found on the root's own disk, mounted whatever its state, wiped so that a power cut does no harm."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from scratch import Box

MOUNTINFO = (
    "1 1 0:2 / / rw - rootfs rootfs rw\n20 1 8:2 / / ro - squashfs /dev/root ro\n21 20 0:5 / /dev rw - devtmpfs d rw\n"
)
LIBRARIES = "base data"


@pytest.fixture
def disk(box: Box) -> Box:
    """A box that runs from sda2, with the four partitions of the layout."""
    box.write("proc/self/mountinfo", MOUNTINFO)
    box.write("proc/cmdline", "root=PARTUUID=12345678-02 console=ttyS0\n")
    for number in (1, 2, 3, 4):
        box.write(f"sys/devices/sda/sda{number}/partition", f"{number}\n")
        box.write(
            f"sys/devices/sda/sda{number}/uevent", f"MAJOR=8\nMINOR={number}\nDEVNAME=sda{number}\nPARTN={number}\n"
        )
    (box.root / "sys/dev/block").mkdir(parents=True)
    os.symlink("../../devices/sda/sda2", box.root / "sys/dev/block/8:2")
    box.fake("umount")
    return box


@pytest.fixture
def flash(box: Box) -> Box:
    """A box whose root is the block device of a UBI volume."""
    box.write("proc/self/mountinfo", MOUNTINFO.replace("8:2", "252:3"))
    box.write("proc/cmdline", "ubi.mtd=ubi root=/dev/ubiblock1_0\n")
    folder = "sys/devices/virtual/ubi/ubi1/ubi1_0/block/ubiblock1_0"
    box.write(f"{folder}/uevent", "MAJOR=252\nMINOR=3\nDEVNAME=ubiblock1_0\nDEVTYPE=disk\n")
    (box.root / "sys/dev/block").mkdir(parents=True)
    os.symlink(f"../../../{folder}", box.root / "sys/dev/block/252:3")
    box.fake("umount")
    return box


def mount_fails(box: Box, *patterns: str) -> None:
    cases = " ".join(f"*{pattern}*) exit 1 ;;" for pattern in patterns)
    box.fake("mount", f"case $* in {cases} esac" if patterns else "")
    (box.fakes / "sleep").unlink()
    box.fake("sleep")


def state(box: Box) -> str:
    return box.shell(LIBRARIES, 'mount_data; echo "$data_state"').stdout.strip()


def test_data_is_partition_4_of_the_disk_that_root_is_on(disk: Box) -> None:
    assert disk.shell(LIBRARIES, 'find_data && echo "$data_device"').stdout == "/dev/sda4\n"


def test_a_root_without_a_disk_has_no_data_partition(box: Box) -> None:
    box.write("proc/self/mountinfo", "1 1 0:2 / / rw - rootfs rootfs rw\n")
    assert box.shell(LIBRARIES, "find_data").returncode == 1


def test_a_good_partition_is_mounted_once(disk: Box) -> None:
    mount_fails(disk)
    assert state(disk) == "ok"
    assert len(disk.calls("mount")) == 1
    assert disk.said == ""


def test_on_flash_data_is_the_volume_of_that_name_beside_the_root(flash: Box) -> None:
    mount_fails(flash)
    assert state(flash) == "ok"
    assert flash.calls("mount") == [f"mount -t ubifs -o noatime,nosuid,nodev ubi1:data {flash.root}/data"]


def test_a_damaged_volume_leaves_its_settings_in_ram(flash: Box) -> None:
    # UBIFS has no option "noload": it would refuse the mount that saves what can be saved.
    mount_fails(flash, "noatime", "noload")
    flash.write("run/cygnet/damaged/etc/hostname", "shop-7\n")
    assert state(flash) == "tmpfs"
    assert flash.read("data/etc/hostname") == "shop-7\n"
    assert "ubi1:data CANNOT BE MOUNTED" in flash.said


def test_a_reset_does_not_write_a_disks_file_system_on_a_volume(flash: Box) -> None:
    flash.write("proc/cmdline", "cygnet.reset\n")
    flash.write("usr/lib/cygnet/data.ext4.gz", "")
    flash.fake("gunzip", "echo new")
    mount_fails(flash, "noatime")
    assert state(flash) == "tmpfs"
    assert flash.calls("gunzip") == []


def test_a_second_try_counts_as_recovered(disk: Box) -> None:
    disk.fake("mount", '[ -e "$CYGNET_ROOT/tried" ] || { : >"$CYGNET_ROOT/tried"; exit 1; }')
    assert state(disk) == "recovered"


def test_a_damaged_partition_leaves_its_settings_in_ram(disk: Box) -> None:
    # Given a partition that mounts only read-only and without its journal
    mount_fails(disk, "noatime")
    disk.write("run/cygnet/damaged/etc/hostname", "shop-7\n")
    disk.write("run/cygnet/damaged/seedrng/seed.credit", "used seed")
    # when the box boots
    assert state(disk) == "tmpfs"
    # then its settings are there, its seed counts for nothing, and the console says what is wrong.
    assert disk.read("data/etc/hostname") == "shop-7\n"
    assert disk.read("data/seedrng/seed.no-credit") == "used seed"
    assert not (disk.root / "data/seedrng/seed.credit").exists()
    assert "CANNOT BE MOUNTED" in disk.said


def test_an_unreadable_partition_still_boots(disk: Box) -> None:
    mount_fails(disk, "ext4")
    assert state(disk) == "tmpfs"
    assert "factory settings" in disk.said


def test_a_reset_rewrites_a_partition_that_cannot_be_mounted(disk: Box) -> None:
    disk.write("proc/cmdline", "ro cygnet.reset quiet\n")
    disk.write("usr/lib/cygnet/data.ext4.gz", "")
    disk.write("dev/sda4", "garbage")
    disk.fake("gunzip", "echo new")
    disk.fake("mount", 'grep -q new "$CYGNET_ROOT/dev/sda4"')
    os.symlink("/bin/grep", disk.fakes / "grep")
    assert state(disk) == "reformatted"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("ro cygnet.reset", True),
        ("cygnet.reset ro", True),
        ("cygnet.resetx", False),
        ("x=cygnet.reset", False),
        ("", False),
    ],
)
def test_the_kernel_parameter_is_a_word(disk: Box, line: str, wanted: bool) -> None:
    disk.write("proc/cmdline", line + "\n")
    assert (disk.shell(LIBRARIES, "reset_wanted").returncode == 0) is wanted


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def fill(box: Box) -> None:
    for path in (
        "etc/shadow",
        "root/.ssh/authorized_keys",
        ".etc-work/work/x",
        "..odd/x",
        "seedrng/seed.credit",
        "time",
    ):
        box.write(f"data/{path}", "x")


def test_a_reset_keeps_seed_and_time_alone(disk: Box) -> None:
    fill(disk)
    disk.write("data/.factory-reset", "")
    disk.shell(LIBRARIES, "data_state=ok; reset_if_wanted")
    assert names(disk.root / "data") == {"seedrng", "time"}
    assert disk.read("run/cygnet/boot") == "reset=done\n"


def test_a_reset_cut_short_goes_on_at_the_next_boot(disk: Box) -> None:
    # Given a reset by kernel parameter whose power is cut at its first removal
    fill(disk)
    disk.write("proc/cmdline", "cygnet.reset\n")
    (disk.fakes / "rm").unlink()
    disk.fake("rm", "kill -9 $PPID")
    disk.shell(LIBRARIES, "data_state=ok; reset_if_wanted")
    assert "etc" in names(disk.root / "data")
    # when it boots again, without the parameter
    disk.write("proc/cmdline", "\n")
    (disk.fakes / "rm").unlink()
    os.symlink("/bin/rm", disk.fakes / "rm")
    disk.shell(LIBRARIES, "data_state=ok; reset_if_wanted")
    # then nothing is left of the settings.
    assert names(disk.root / "data") == {"seedrng", "time"}


def test_the_mark_is_the_last_thing_a_reset_removes(disk: Box) -> None:
    fill(disk)
    (disk.fakes / "rm").unlink()
    disk.fake("rm", '[ -e "$CYGNET_ROOT/data/.factory-reset" ] && exec /bin/rm "$@"')
    disk.shell(LIBRARIES, "data_state=ok; wipe_data")
    assert disk.calls("rm")[-1].endswith("/data/.factory-reset")


def test_without_a_mark_nothing_is_removed(disk: Box) -> None:
    fill(disk)
    before = names(disk.root / "data")
    disk.shell(LIBRARIES, "data_state=ok; reset_if_wanted")
    assert names(disk.root / "data") == before
    assert disk.read("run/cygnet/boot") == "reset=no\n"


def test_settings_that_cannot_be_overlaid_go_on_in_ram(disk: Box) -> None:
    mount_fails(disk, "upperdir=*/data/etc")
    disk.write("data/.etc-work/work/x", "")
    disk.shell(LIBRARIES, "data_state=ok; mount_etc")
    assert disk.read("run/cygnet/boot") == "etc=ram\n"
    assert "CANNOT BE USED" in disk.said


@pytest.mark.parametrize("answer", ["", "y", "YES", "yes please", "no"])
def test_the_command_wants_the_word_yes(disk: Box, answer: str) -> None:
    disk.fake("reboot")
    program = str(disk.root / "usr/sbin/factory-reset")
    disk.shell("base", f'printf "%s\\n" "$1" | {program}', answer)
    assert disk.calls("reboot") == []
    assert not (disk.root / "data/.factory-reset").exists()


def test_the_command_marks_and_reboots(disk: Box) -> None:
    disk.fake("reboot", '[ -e "$CYGNET_ROOT/data/.factory-reset" ] && echo marked first')
    result = disk.run([str(disk.root / "usr/sbin/factory-reset"), "--yes"])
    assert result.stdout == "marked first\n"


def test_the_command_refuses_without_a_data_partition(disk: Box) -> None:
    disk.fake("reboot")
    disk.write("run/cygnet/boot", "data=tmpfs\n")
    assert disk.run([str(disk.root / "usr/sbin/factory-reset"), "--yes"]).returncode == 1
    assert disk.calls("reboot") == []
