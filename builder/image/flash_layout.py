"""Where things are on a flash chip, and whether they fit.

Partitions follow each other from the chip's start.  A kernel stands in a partition of its own, where every boot loader
can read it; such a partition has spare blocks, since bad ones are skipped.  The rest is UBI's (volumes root-a, root-b
and data), which moves around bad blocks by itself.  Documentation: the kernel's drivers/mtd/ubi, mtd-utils' ubinize(8).
"""

from __future__ import annotations

from dataclasses import dataclass

from builder.boards import Board, Flash
from builder.errors import CygnetError
from builder.image.layout import MIB

UBI = "ubi"
KERNELS = {"a": "kernel-a", "b": "kernel-b"}
ROOTS = {"a": "root-a", "b": "root-b"}
DATA = "data"
# UBI's own blocks: two for the table of volumes, one to level wear, one to change a block in one go.
UBI_BLOCKS = 4
# What UBI writes before an erase block's data: two headers of so many bytes, each in a page of its own.
UBI_HEADER = 64


@dataclass(frozen=True)
class Place:
    """One partition: place and size in bytes."""

    name: str
    start: int
    size: int


def places(flash: Flash) -> dict[str, Place]:
    """The partitions by name."""
    found: dict[str, Place] = {}
    start = 0
    for name, size in flash.partitions.items():
        found[name] = Place(name, start, size)
        start += size
    return found


def header_size(flash: Flash) -> int:
    """Bytes from an erase block's start to UBI's second header, and from there to the data."""
    return max(flash.page, UBI_HEADER)


def logical_block(flash: Flash) -> int:
    """Bytes of data that one erase block holds under UBI."""
    return flash.block - 2 * header_size(flash)


def logical_blocks(flash: Flash, size: int) -> int:
    """How many erase blocks ``size`` bytes take under UBI."""
    return -(-size // logical_block(flash))


def volume_sizes(flash: Flash) -> dict[str, int]:
    """The volumes' sizes in bytes; data's is the least."""
    return dict.fromkeys(ROOTS.values(), flash.root_mib * MIB) | {DATA: flash.data_mib * MIB}


def kernel_room(flash: Flash) -> int:
    """The most that a kernel may have: its partition without the spare blocks."""
    size = flash.partitions[KERNELS["a"]]
    share = -(-size * flash.bad_blocks // flash.size)
    return size - (share + 1 if flash.bad_blocks else 0) * flash.block


def flash_facts(flash: Flash) -> dict[str, object]:
    """What a template can ask for: where kernels are, how much of them to read, how Linux finds its root."""
    return {
        "kernel_at": {slot: places(flash)[name].start for slot, name in KERNELS.items()},
        "kernel_room": kernel_room(flash),
        "attach": f"ubi.mtd={UBI},{header_size(flash)}",
    }


def check_layout(board: Board) -> None:
    """Raise when the layout is none: what is missing, what is over, what does not end with an erase block."""
    flash = board.need_flash()
    for name in (*KERNELS.values(), UBI):
        if name not in flash.partitions:
            raise _wrong(board, f"there is no partition {name}; give it a size", ".partitions")
    for name, size in flash.partitions.items():
        if size % flash.block:
            over = size % flash.block
            raise _wrong(board, f"partition {name} ends {over:,} bytes after an erase block's end", ".partitions")
    if flash.partitions[KERNELS["a"]] != flash.partitions[KERNELS["b"]]:
        raise _wrong(board, "kernel-a and kernel-b differ in size; an update must fit into either", ".partitions")
    over = sum(flash.partitions.values()) - flash.size
    if over > 0:
        raise _wrong(board, f"the partitions are {over:,} bytes larger than the chip; make one smaller", ".partitions")
    _check_volumes(board, flash)


def _check_volumes(board: Board, flash: Flash) -> None:
    wanted = sum(logical_blocks(flash, size) for size in volume_sizes(flash).values())
    over = (wanted + UBI_BLOCKS + flash.bad_blocks) * flash.block - flash.partitions[UBI]
    if over > 0:
        raise _wrong(
            board,
            f"the volumes are {over:,} bytes larger than partition {UBI} ({UBI_BLOCKS} blocks of it are UBI's own, "
            f"{flash.bad_blocks} may be bad); lower root-mib or data-mib, or raise {UBI}",
        )


def check_fits(board: Board, kernel: int, root: int) -> None:
    """Raise when a kernel image or a root file system of so many bytes does not fit."""
    flash = board.need_flash()
    over = kernel - kernel_room(flash)
    if over > 0:
        raise _wrong(
            board,
            f"the kernel with its device tree is {over:,} bytes larger than partition kernel-a without its spare "
            "blocks; raise kernel-a and kernel-b",
            ".partitions",
        )
    over = root - flash.root_mib * MIB
    if over > 0:
        raise _wrong(board, f"the root file system is {over:,} bytes larger than its volume; raise root-mib")


def _wrong(board: Board, what: str, table: str = "") -> CygnetError:
    return CygnetError(f"{board.name}: {what} ({board.folder / 'board.toml'}, [flash{table}])")
