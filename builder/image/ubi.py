"""UBI images: made by mtd-utils' ubinize, read back by a reader of our own.

The reader follows the on-flash format of the kernel's drivers/mtd/ubi/ubi-media.h and checks every checksum in it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.boards import Flash
from builder.errors import CygnetError
from builder.image.flash_layout import header_size
from builder.run import Runner

# Of an erase block: magic, version, erase counter, where the volume's header and the data are, the image's number.
BLOCK_HEADER = struct.Struct(">4sB3xQIII32x")
# Of a block in a volume: magic, version, kind, copy, compatibility, volume, place in it, bytes, blocks, pad, CRC, order
VOLUME_HEADER = struct.Struct(">4sBBBBII4xIIII4xQ12x")
# A row of the table of volumes: blocks, alignment, pad, kind, update mark, length of the name, name, flags.
ROW = struct.Struct(">IIIBBH128sB23x")
CHECKSUM = struct.Struct(">I")
TABLE = 0x7FFFEFFF
STATIC = {1: False, 2: True}
AUTORESIZE = 1
NOTHING = 0xFF


@dataclass(frozen=True)
class Volume:
    """A volume to be made: ``size`` in bytes; ``static``: read-only, with a checksum of all it holds."""

    name: str
    size: int
    content: Path
    static: bool = False
    grows: bool = False


@dataclass(frozen=True)
class Found:
    """A volume of an image: how many blocks it reserves, what it holds."""

    number: int
    name: str
    blocks: int
    static: bool
    grows: bool
    content: bytes


def write_ubi(
    flash: Flash, volumes: Sequence[Volume], sequence: int, to: Path, tools: Path, work: Path, runner: Runner
) -> None:
    """Write an image; ``sequence`` is the number by which UBI tells the blocks of one image from another's."""
    plan = work / "ubinize.ini"
    plan.write_text(plan_text(volumes))
    command = [tools / "usr/sbin/ubinize", "-o", to, *options(flash), "-Q", sequence, plan]
    runner.run([str(word) for word in command], cwd=work)


def options(flash: Flash) -> list[str]:
    """How ubinize is told about the flash."""
    return ["-p", str(flash.block), "-m", str(flash.page), "-O", str(header_size(flash))]


def plan_text(volumes: Sequence[Volume]) -> str:
    """What ubinize reads: a section for each volume."""
    return "".join(_section(number, volume) for number, volume in enumerate(volumes))


def _section(number: int, volume: Volume) -> str:
    lines = [
        f"[{volume.name}]", "mode=ubi", f"image={volume.content}", f"vol_id={number}", f"vol_name={volume.name}",
        f"vol_type={'static' if volume.static else 'dynamic'}", f"vol_size={volume.size}",
        *(["vol_flags=autoresize"] if volume.grows else []),
    ]  # fmt: skip
    return "\n".join(lines) + "\n\n"


def read_ubi(flash: Flash, image: bytes, name: str) -> list[Found]:
    """The volumes of an image, by number; ``name`` is what an error calls the image."""
    held: dict[int, dict[int, bytes]] = {}
    sequences = set()
    for start in range(0, len(image), flash.block):
        block = image[start : start + flash.block]
        fields = _checked(BLOCK_HEADER, b"UBI#", block, 0, f"{name}: erase block at {start:#x}")
        _, _, _, volume_at, data_at, sequence = fields
        sequences.add(sequence)
        if (volume_at, data_at) != (header_size(flash), 2 * header_size(flash)) or len(block) != flash.block:
            raise CygnetError(f"{name}: the erase block at {start:#x} is not laid out for this flash")
        if block[volume_at:].strip(bytes([NOTHING])):
            number, place, data = _data(block, volume_at, data_at, f"{name}: erase block at {start:#x}")
            held.setdefault(number, {})[place] = data
    if len(sequences) != 1:
        raise CygnetError(f"{name}: its erase blocks are of {len(sequences)} images")
    return [_found(number, *row, held.get(number, {}), name) for number, row in _rows(held, name)]


def _data(block: bytes, volume_at: int, data_at: int, what: str) -> tuple[int, int, bytes]:
    """Volume, place in it and content of an erase block."""
    fields = _checked(VOLUME_HEADER, b"UBI!", block, volume_at, what)
    _, _, kind, _, _, number, place, size, _, _, checksum, _ = fields
    data = block[data_at : data_at + size] if STATIC[kind] else block[data_at:]
    if STATIC[kind] and crc(data) != checksum:
        raise CygnetError(f"{what}: its data has another checksum")
    return number, place, data


def _rows(held: dict[int, dict[int, bytes]], name: str) -> list[tuple[int, tuple[int, bool, bool, str]]]:
    """The table of volumes, which stands twice: number -> blocks, static, grows, name."""
    first, second = held.get(TABLE, {}).get(0, b""), held.get(TABLE, {}).get(1, b"")
    step = ROW.size + CHECKSUM.size
    found = []
    for number in range(min(128, len(first) // step)):
        row = first[number * step : (number + 1) * step]
        if (
            row != second[number * step : (number + 1) * step]
            or crc(row[: ROW.size]) != CHECKSUM.unpack(row[ROW.size :])[0]
        ):
            raise CygnetError(f"{name}: row {number} of its table of volumes is damaged")
        blocks, _, _, kind, _, length, label, flags = ROW.unpack(row[: ROW.size])
        if blocks:
            found.append((number, (blocks, STATIC[kind], bool(flags & AUTORESIZE), label[:length].decode())))
    return found


def _found(number: int, blocks: int, static: bool, grows: bool, label: str, held: dict[int, bytes], name: str) -> Found:
    if sorted(held) != list(range(len(held))) or len(held) > blocks:
        raise CygnetError(f"{name}: volume {label} lacks a block, or has more than it reserves")
    return Found(number, label, blocks, static, grows, b"".join(held[place] for place in sorted(held)))


def _checked(header: struct.Struct, magic: bytes, block: bytes, at: int, what: str) -> tuple[int, ...]:
    """A header's fields, the magic word first; each header ends in the checksum of what comes before."""
    raw = block[at : at + header.size + CHECKSUM.size]
    if len(raw) < header.size + CHECKSUM.size or not raw.startswith(magic):
        raise CygnetError(f"{what}: there is no {magic.decode()} header")
    if crc(raw[: header.size]) != CHECKSUM.unpack(raw[header.size :])[0]:
        raise CygnetError(f"{what}: its {magic.decode()} header has another checksum")
    return header.unpack(raw[: header.size])


def crc(data: bytes | bytearray) -> int:
    """UBI's checksum, and UBIFS's: CRC-32 without the last inversion."""
    return zlib.crc32(data) ^ 0xFFFFFFFF
