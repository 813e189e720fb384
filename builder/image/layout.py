"""Where things are on the disk: a gap for the boot loader that ends in the image's header, boot, two slots, data.

An MBR with four primary partitions, since every BIOS and boot loader of this class reads it.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from builder.boards import Disk

MIB = 1 << 20
SECTOR = 512
# The last sector before the first partition has the image's header (builder/image/header.py).
HEADER_AT = MIB - SECTOR
# What the MBR has for a boot loader's code.
BOOT_CODE = 440
LINUX = 0x83
ACTIVE = 0x80
# For a partition addressed by sector number, the cylinder/head/sector fields say "beyond".
CHS_BEYOND = b"\xfe\xff\xff"


@dataclass(frozen=True)
class Partition:
    """One partition: number from 1, place and size in bytes."""

    number: int
    name: str
    start: int
    size: int


def partitions(disk: Disk) -> dict[str, Partition]:
    """The partitions by name; the first starts after one MiB."""
    sizes = {"boot": disk.boot_mib, "slot-a": disk.slot_mib, "slot-b": disk.slot_mib, "data": disk.data_mib}
    found: dict[str, Partition] = {}
    start = MIB
    for number, (name, mib) in enumerate(sizes.items(), 1):
        found[name] = Partition(number, name, start, mib * MIB)
        start += mib * MIB
    return found


def disk_id(name: str) -> int:
    """The MBR's disk signature, from the board's name: by it Linux finds its root, whatever the disk is called."""
    return zlib.crc32(f"cygnet {name}".encode()) | 1


def disk_size(disk: Disk) -> int:
    """The size of the whole disk image, in bytes."""
    last = partitions(disk)["data"]
    return last.start + last.size


def partition_table(disk: Disk, signature: int) -> bytes:
    """The last 72 bytes of the MBR: disk signature, four entries, the 55AA mark."""
    table = struct.pack("<IH", signature, 0)
    for part in partitions(disk).values():
        active = ACTIVE if part.name == "boot" else 0
        table += struct.pack(
            "<B3sB3sII", active, CHS_BEYOND, LINUX, CHS_BEYOND, part.start // SECTOR, part.size // SECTOR
        )
    return table + b"\x55\xaa"
