"""What was written for a flash chip, read back: kernel, volumes, and whether the device tree agrees with the layout.

No twin starts such a board, so that nothing else would notice.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

from builder.boards import Board
from builder.errors import CygnetError
from builder.image.flash_layout import DATA, Place, logical_blocks, places, volume_sizes
from builder.image.ubi import read_ubi
from builder.run import Runner

# U-Boot's legacy header: magic, checksum of the header, time, length, load and entry address, checksum of the data,
# system, processor, type, compression, name.
UIMAGE = struct.Struct(">7I4B32s")
UIMAGE_MAGIC = 0x27051956
PARTITION = re.compile(r'partition@[0-9a-f]+ \{\s*label = "([^"]+)";\s*reg = <0x([0-9a-f]+) 0x([0-9a-f]+)>;')


def check_kernel(board: Board, image: bytes, content: bytes) -> None:
    """Raise unless ``image`` is a whole uImage of ``content`` for the board's load address."""
    fields = UIMAGE.unpack_from(image)
    magic, header_crc, _, length, load, entry, data_crc = fields[:7]
    header = image[:4] + bytes(4) + image[8 : UIMAGE.size]
    data = image[UIMAGE.size :]
    if (magic, zlib.crc32(header), zlib.crc32(data)) != (UIMAGE_MAGIC, header_crc, data_crc):
        raise CygnetError(f"{board.name}: the kernel's uImage has a wrong checksum")
    if (load, entry, length, data) != (board.kernel.load_address, board.kernel.load_address, len(content), content):
        raise CygnetError(f"{board.name}: the kernel's uImage holds something else than was put into it")


def check_ubi(board: Board, image: Path, contents: Mapping[str, bytes]) -> None:
    """Raise unless ``image`` has the layout's volumes, of its sizes, with ``contents``."""
    flash = board.need_flash()
    found = read_ubi(flash, image.read_bytes(), f"{board.name}: {image.name}")
    wanted = [
        (number, name, logical_blocks(flash, size), name != DATA, name == DATA)
        for number, (name, size) in enumerate(volume_sizes(flash).items())
    ]
    if [(one.number, one.name, one.blocks, one.static, one.grows) for one in found] != wanted:
        raise CygnetError(f"{board.name}: {image.name} has other volumes than {', '.join(volume_sizes(flash))}")
    for one in found:
        if one.content != contents[one.name]:
            raise CygnetError(
                f"{board.name}: volume {one.name} of {image.name} holds something else than was put into it"
            )


def check_tree(board: Board, tree: Path, tools: Path, work: Path, runner: Runner) -> None:
    """Raise unless the compiled device tree divides the flash as board.toml does."""
    if not tree.is_file():
        raise CygnetError(
            f"{board.name}: there is no device tree; name it in {board.folder / 'board.toml'}, [kernel] device-tree"
        )
    text = runner.output([str(tools / "usr/bin/dtc"), "-q", "-I", "dtb", "-O", "dts", str(tree)], cwd=work)
    found = {name: Place(name, int(start, 16), int(size, 16)) for name, start, size in PARTITION.findall(text)}
    wanted = places(board.need_flash())
    for name in wanted.keys() | found.keys():
        if wanted.get(name) != found.get(name):
            raise CygnetError(
                f"{board.name}: partition {name} is {_words(wanted.get(name))} in {board.folder / 'board.toml'}, "
                f"[flash.partitions], and {_words(found.get(name))} in the device tree ({board.kernel.device_tree}); "
                "make them agree"
            )


def _words(place: Place | None) -> str:
    return f"{place.size:#x} bytes at {place.start:#x}" if place else "not there"
