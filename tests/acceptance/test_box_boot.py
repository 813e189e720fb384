"""From power to a login on the serial line: what runs then, from where, and how much memory it takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from builder.smoke.box import Box

RAM_BUDGET_KIB = 24 * 1024


def test_boots_to_a_login(box_a: Box, box_b: Box, record_property: Callable[[str, object], None]) -> None:
    """Two boxes boot side by side to a login on the serial line, and root gets a shell"""
    record_property("boot seconds", f"{box_a.boot_seconds:.1f}")
    for box in (box_a, box_b):
        assert box.text("id -u") == "0"
        assert box.text("tty").startswith("/dev/tty")


def test_ram_in_use(box_a: Box, record_property: Callable[[str, object], None]) -> None:
    """RAM in use after boot, page cache aside but kernel and tmpfs included, is within 24 MB"""
    # MemTotal is what the kernel left of the machine's RAM after its own text, data and page table;
    # /proc/iomem has the machine's.  Cached also counts tmpfs (Shmem), which cannot be given back.
    box_a.wait_for("sv status /run/service/*", lambda text: "down" not in text and "fail" not in text)
    # A new box is making its key, which takes 4 MB more for as long as it lasts.
    box_a.wait_for("ls /etc/ipsec.secrets", lambda text: text == "/etc/ipsec.secrets", seconds=180)
    box_a.text("sleep 3")
    words = (line.split() for line in box_a.text("cat /proc/meminfo").splitlines())
    kib = {name.rstrip(":"): int(value) for name, value, *_ in words}
    cache = kib["Buffers"] + kib["Cached"] - kib["Shmem"] + kib["SReclaimable"]
    used = kib["MemTotal"] - kib["MemFree"] - cache
    kernel = machine_kib(box_a) - kib["MemTotal"]
    record_property("user and kernel allocations KiB", used)
    record_property("kernel image and tables KiB", kernel)
    assert used + kernel <= RAM_BUDGET_KIB


def machine_kib(box: Box) -> int:
    """The machine's RAM, from the kernel's map of it."""
    ranges = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) : System RAM", box.text("cat /proc/iomem"), re.MULTILINE)
    assert ranges, "/proc/iomem names no System RAM"
    return sum(int(end, 16) - int(start, 16) + 1 for start, end in ranges) // 1024


def test_kernel(box_a: Box) -> None:
    """The kernel is 6.12"""
    assert box_a.text("uname -r").startswith("6.12.")


def test_os_release(box_a: Box, pair: dict[str, Any], option: Callable[[str], Any]) -> None:
    """os-release names Cygnet, this version and this board"""
    release = box_a.settings("/etc/os-release")
    assert (release["ID"], release["VERSION_ID"]) == ("cygnet", option("version"))
    assert release["VARIANT_ID"] == pair["boards"][0]


def test_box_status(box_a: Box) -> None:
    """The box itself says that it is well (`box status`)"""
    output = box_a.wait_for("box status", lambda text: "state:" in text)
    assert output.splitlines()[-1] == "state: ok", output


def test_root_is_the_slot_that_was_chosen(box_a: Box) -> None:
    """Root is the partition that the boot loader named by PARTUUID, and belongs to its slot"""
    words = dict(word.split("=", 1) for word in box_a.text("cat /proc/cmdline").split() if "=" in word)
    disk, number = re.fullmatch(r"PARTUUID=([0-9a-f]{8})-0([23])", words["root"].strip()).groups()
    root = box_a.text("mountpoint -d /").strip()
    assert box_a.text(f"cat /sys/dev/block/{root}/partition") == number
    assert words["cygnet.slot"] == {"2": "a", "3": "b"}[number]
    name = box_a.text(f"sed -n s/^DEVNAME=//p /sys/dev/block/{root}/../uevent")
    # Byte by byte: the box may be of the other endianness than the partition table.
    signature = box_a.text(f"dd if=/dev/{name} bs=1 skip=440 count=4 2>/dev/null | hexdump -v -e '1/1 \"%02x\"'")
    assert bytes.fromhex(signature)[::-1].hex() == disk


def test_root_is_read_only(box_a: Box) -> None:
    """Root is a read-only squashfs: nothing can be written to it, and nothing can make it writable"""
    mounts = [line.split() for line in box_a.text("cat /proc/mounts").splitlines()]
    root = [mount for mount in mounts if mount[1] == "/"][-1]
    assert root[2] == "squashfs"
    assert "ro" in root[3].split(",")
    intruder = "touch /usr/bin/intruder"
    for command in (intruder, "rm -f /bin/busybox", f"mount -o remount,rw / && {intruder}"):
        output, status = box_a.run(command)
        assert status != 0, f"`{command}` went through: {output}"
    box_a.text("test ! -e /usr/bin/intruder && test -e /bin/busybox")


def test_data_and_etc_can_be_written(box_a: Box) -> None:
    """Settings can be changed: /etc is an overlay on the ext4 data partition"""
    types = {line.split()[1]: line.split()[2] for line in box_a.text("cat /proc/mounts").splitlines()}
    assert (types["/data"], types["/etc"]) == ("ext4", "overlay")
    assert box_a.boot_facts()["data"] == "ok"
    box_a.text("echo probe >/etc/probe && grep -q probe /data/etc/probe && rm /etc/probe")
