"""What is a card, and who uses it: trees of /sys and /proc as other machines have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import CygnetError
from builder.flash.block_disk import Disk, check_may_be_written, check_unused, human, look, loop_of

SDB = (8, 16)
SDB1 = (8, 17)
# A CompactFlash card in a USB reader: two partitions; beside it the machine's own disk.
MACHINE = {
    "sys/devices/usb/block/sdb/dev": "8:16",
    "sys/devices/usb/block/sdb/size": "125440",
    "sys/devices/usb/block/sdb/removable": "1",
    "sys/devices/usb/block/sdb/ro": "0",
    "sys/devices/usb/block/sdb/diskseq": "9",
    "sys/devices/usb/block/sdb/device/vendor": "Generic ",
    "sys/devices/usb/block/sdb/device/model": "Compact Flash   ",
    "sys/devices/usb/block/sdb/sdb1/dev": "8:17",
    "sys/devices/usb/block/sdb/sdb1/partition": "1",
    "sys/devices/usb/block/sdb/sdb1/size": "8192",
    "sys/devices/usb/block/sdb/sdb2/dev": "8:18",
    "sys/devices/usb/block/sdb/sdb2/partition": "2",
    "sys/devices/usb/block/sdb/sdb2/size": "32768",
    "proc/swaps": "Filename\tType\tSize\tUsed\tPriority\n/dev/sda3 partition 1 0 -2\n",
    "proc/self/mountinfo": "21 1 8:2 / / rw,relatime - ext4 /dev/sda2 rw\n22 21 0:5 / /dev rw - devtmpfs udev rw\n",
}
HERE = "sys/devices/usb/block/sdb"


def machine(at: Path, **changes: str) -> Path:
    """The tree of MACHINE, with ``changes`` by the last part of a file's name."""
    for name, content in MACHINE.items():
        file = at / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(changes.get(file.name, content).rstrip() + "\n")
    links = at / "sys/dev/block"
    links.mkdir(parents=True)
    for number, place in (("8:16", HERE), ("8:17", f"{HERE}/sdb1"), ("8:18", f"{HERE}/sdb2")):
        (links / number).symlink_to(at / place)
    return at


def add(at: Path, name: str, content: str) -> None:
    (at / name).parent.mkdir(parents=True, exist_ok=True)
    (at / name).write_text(content.rstrip() + "\n")


def test_model_size_and_partitions_are_shown(tmp_path: Path) -> None:
    disk = look(SDB, machine(tmp_path))
    assert str(disk) == "/dev/sdb: Generic Compact Flash, 64 MB, removable; on it: sdb1 4 MB, sdb2 17 MB"
    assert disk.sequence == "9"


def test_an_sd_card_in_a_reader_of_its_own_is_a_card_and_what_is_soldered_in_is_not(tmp_path: Path) -> None:
    here = machine(tmp_path, removable="0", vendor="", model="")
    add(here, f"{HERE}/device/name", "SC16G")
    for kind, card in (("SD", True), ("MMC", False)):
        add(here, f"{HERE}/device/type", kind)
        disk = look(SDB, here)
        assert (disk.card, disk.model) == (card, "SC16G")


def test_a_partition_is_no_disk(tmp_path: Path) -> None:
    with pytest.raises(CygnetError, match="/dev/sdb1 is a partition, an image is a whole disk: name /dev/sdb$"):
        look(SDB1, machine(tmp_path))


def test_sizes_are_said_as_on_the_card() -> None:
    assert [human(size) for size in (64_225_280, 999_999_999, 3_951_034_368)] == ["64 MB", "1000 MB", "4.0 GB"]


CARD = Disk("sdb", "Generic Compact Flash", 64_000_000, True, False, (), "9")
REFUSED = {
    "no card": (Disk("sdb", "", 0, True, False, (), ""), (False, False), "/dev/sdb: there is no card in it"),
    "read-only": (Disk("sdb", "X", 64_000_000, True, True, (), ""), (True, True), "is read-only: is the card's lock switch on"),
    "too small": (Disk("sdb", "X", 32_000_000, True, False, (), ""), (True, True), r"is too small: the image has 56 MB \(23,574,528 bytes more\)"),
    "fixed": (Disk("sda", "X", 64_000_000, False, False, (), ""), (True, False), "not removable: it may be a disk of this machine; --fixed-disk, if"),
    "large": (Disk("sdb", "X", 10**12, True, False, (), ""), (False, True), r"1000\.0 GB, removable: larger than any card of a box; --any-size, if"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_nobody_means_is_refused(case: str) -> None:
    disk, (any_size, fixed_disk), told = REFUSED[case]
    with pytest.raises(CygnetError, match=told):
        check_may_be_written(disk, 55_574_528, any_size, fixed_disk)


def test_what_the_user_means_is_taken() -> None:
    check_may_be_written(CARD, 55_574_528, any_size=False, fixed_disk=False)
    check_may_be_written(Disk("sda", "X", 10**12, False, False, (), ""), 1, any_size=True, fixed_disk=True)


def test_a_card_that_nobody_uses_is_free(tmp_path: Path) -> None:
    check_unused(SDB, machine(tmp_path))


MOUNTED = "23 21 {} / /media/my\\040card rw - {} {} rw\n"
USES = {
    "the disk mounted": ({"proc/self/mountinfo": MOUNTED.format("8:16", "vfat", "/dev/sdb")}, r"^/dev/sdb is mounted on /media/my card: nothing"),
    "a partition mounted": ({"proc/self/mountinfo": MOUNTED.format("8:18", "vfat", "none")}, "^/dev/sdb2 is mounted on /media/my card: nothing"),
    "btrfs, with a number of its own": ({"proc/self/mountinfo": MOUNTED.format("0:44", "btrfs", "/dev/sdb1")}, "^/dev/sdb1 is mounted on /media/my card"),
    "the running root": ({"proc/self/mountinfo": "21 1 8:18 / / rw shared:1 - ext4 /dev/root rw"}, "^/dev/sdb2 is mounted on /: nothing was written"),
    "swap": ({"proc/swaps": "Filename\n/dev/sdb2 partition 1 0 -2"}, "^/dev/sdb2 is swap space: nothing was written; release it first"),
    "LVM": ({f"{HERE}/sdb1/holders/dm-0/dm/name": "vg-root"}, r"^/dev/sdb1 is part of dm-0 \(vg-root\): nothing"),
    "RAID": ({f"{HERE}/holders/md0/dev": "9:0"}, "^/dev/sdb is part of md0: nothing"),
    "a loop device": ({"sys/block/loop3/loop/backing_file": "/dev/sdb2"}, "^/dev/sdb2 is attached to /dev/loop3: nothing"),
    "two": ({"proc/swaps": "Filename\n/dev/sdb2 partition 1 0 -2", f"{HERE}/holders/md0/dev": ""}, "^/dev/sdb is part of md0; /dev/sdb2 is swap space: nothing"),
}  # fmt: skip


@pytest.mark.parametrize("case", USES)
def test_a_card_in_use_is_refused(tmp_path: Path, case: str) -> None:
    files, told = USES[case]
    here = machine(tmp_path)
    for name, content in files.items():
        add(here, name, content)
    with pytest.raises(CygnetError, match=told):
        check_unused(SDB, here)


def test_the_loop_device_of_a_file_is_found(tmp_path: Path) -> None:
    add(tmp_path, "sys/block/loop0/loop/backing_file", "/home/me/other.img")
    add(tmp_path, "sys/block/loop1/loop/backing_file", "/home/me/card.img")
    assert loop_of(Path("/home/me/card.img"), tmp_path) == "/dev/loop1"
    assert loop_of(Path("/home/me/none.img"), tmp_path) == ""
