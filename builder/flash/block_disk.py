"""What the kernel says of a disk: model, size, whether it is a card, who uses it.

From /sys and /proc; the disk is not opened. Linux' Documentation/ABI/stable/sysfs-block, proc_pid_mountinfo(5),
proc_swaps(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.errors import CygnetError
from builder.image.layout import SECTOR

# Nobody's card of a router is larger; a disk of this machine mostly is.
LIMIT = 64 << 30
SYSTEM = Path("/")


@dataclass(frozen=True)
class Disk:
    """A whole disk. ``size`` in bytes; ``sequence`` is another one once its card was changed (Linux 5.15)."""

    name: str
    model: str
    size: int
    card: bool
    read_only: bool
    partitions: tuple[str, ...]
    sequence: str

    def __str__(self) -> str:
        kind = "removable" if self.card else "not removable"
        holds = f"; on it: {', '.join(self.partitions)}" if self.partitions else ""
        return f"/dev/{self.name}: {self.model or 'no model name'}, {human(self.size)}, {kind}{holds}"


def human(size: int) -> str:
    """Bytes as they stand on a card: 64 MB, 3.9 GB."""
    return f"{size / 1e9:.1f} GB" if size >= 10**9 else f"{size / 1e6:.0f} MB"


def look(number: tuple[int, int], system: Path = SYSTEM) -> Disk:
    """The disk with this device number; raises CygnetError when it is a partition."""
    place = _place(number, system)
    if (place / "partition").exists():
        raise CygnetError(f"/dev/{place.name} is a partition, an image is a whole disk: name /dev/{place.parent.name}")
    model = [_text(place / "device" / file) for file in ("vendor", "model", "name")]
    return Disk(
        name=place.name,
        model=" ".join(word for text in model for word in text.split()) or _text(place / "loop/backing_file"),
        size=_size(place),
        # A reader of MMC's own has no "removable"; what is soldered in is of type MMC.
        card=_text(place / "removable") == "1" or _text(place / "device/type") == "SD",
        read_only=_text(place / "ro") == "1",
        partitions=tuple(f"{part.name} {human(_size(part))}" for part in _partitions(place)),
        sequence=_text(place / "diskseq"),
    )


def check_may_be_written(disk: Disk, needed: int, any_size: bool, fixed_disk: bool) -> None:
    """Raise CygnetError when the disk is too small for ``needed`` bytes, or what nobody means by a card."""
    if not disk.size:
        raise CygnetError(f"/dev/{disk.name}: there is no card in it")
    if disk.read_only:
        raise CygnetError(f"{disk} is read-only: is the card's lock switch on?")
    if disk.size < needed:
        raise CygnetError(f"{disk} is too small: the image has {human(needed)} ({needed - disk.size:,} bytes more)")
    if not disk.card and not fixed_disk:
        raise CygnetError(f"{disk}: it may be a disk of this machine; --fixed-disk, if it is the right one")
    if disk.size > LIMIT and not any_size:
        raise CygnetError(f"{disk}: larger than any card of a box; --any-size, if it is the right one")


def check_unused(number: tuple[int, int], system: Path = SYSTEM) -> None:
    """Raise CygnetError when the disk or a partition of it is mounted, swapped to, or part of something else."""
    place = _place(number, system)
    users = [user for part in (place, *_partitions(place)) for user in _users(part, system)]
    if users:
        raise CygnetError(f"{'; '.join(users)}: nothing was written; release it first")


def loop_of(file: Path, system: Path = SYSTEM) -> str:
    """The loop device that a file is attached to, or nothing."""
    for backing in sorted((system / "sys/block").glob("loop*/loop/backing_file")):
        if _text(backing) == str(file):
            return f"/dev/{backing.parent.parent.name}"
    return ""


def _place(number: tuple[int, int], system: Path) -> Path:
    return (system / "sys/dev/block" / f"{number[0]}:{number[1]}").resolve()


def _partitions(place: Path) -> list[Path]:
    return sorted(file.parent for file in place.glob("*/partition"))


def _users(part: Path, system: Path) -> Iterator[str]:
    device, number = f"/dev/{part.name}", _text(part / "dev")
    for mounted, source, where in _mounts(system):
        # What btrfs mounts has a number of its own.
        if number == mounted or device == source:
            yield f"{device} is mounted on {where}"
    for line in (system / "proc/swaps").read_text().splitlines()[1:]:
        if line.split()[0] == device:
            yield f"{device} is swap space"
    for holder in sorted((part / "holders").glob("*")):
        called = _text(holder / "dm/name")
        yield f"{device} is part of {holder.name}{called and f' ({called})'}"
    if loop := loop_of(Path(device), system):
        yield f"{device} is attached to {loop}"


def _mounts(system: Path) -> Iterator[tuple[str, str, str]]:
    """Device number, source, mount point of everything that is mounted."""
    for line in (system / "proc/self/mountinfo").read_text().splitlines():
        words = [re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), word) for word in line.split(" ")]
        yield words[2], words[words.index("-") + 2], words[4]


def _size(place: Path) -> int:
    return int(_text(place / "size") or 0) * SECTOR


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""
