"""What `--to` is: a serial console, a block device, or a plain file, which need not be there yet."""

from __future__ import annotations

import enum
import stat
from pathlib import Path

from builder.errors import CygnetError


class Kind(enum.Enum):
    """The three things that an image can be put on."""

    CONSOLE = enum.auto()
    DEVICE = enum.auto()
    FILE = enum.auto()


def kind_of(to: str, devices: Path = Path("/dev")) -> Kind:
    """Which kind ``to`` is; raises CygnetError when it is none.

    A URL (``socket://host:port``), ``serial:/dev/ttyUSB0`` and a character device are consoles. A file that is not
    there yet must not be below ``devices``: it is a device's mistyped name, or its card has been taken out.
    """
    if not to:
        raise CygnetError("--to= names nothing: a card's block device, a file, or a serial console")
    if "://" in to or to.startswith("serial:"):
        return Kind.CONSOLE
    path = Path(to)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return _new_file(path, devices)
    except OSError as error:
        raise CygnetError(f"--to={to}: {error.strerror}") from None
    for is_kind, kind in ((stat.S_ISCHR, Kind.CONSOLE), (stat.S_ISBLK, Kind.DEVICE), (stat.S_ISREG, Kind.FILE)):
        if is_kind(mode):
            return kind
    raise CygnetError(f"--to={to} is neither a block device nor a plain file nor a serial console")


def url_of(to: str) -> str:
    """A console as pyserial's serial_for_url takes it."""
    return to.removeprefix("serial:")


def _new_file(path: Path, devices: Path) -> Kind:
    folder = path.resolve().parent
    if devices.resolve() in (folder, *folder.parents) and folder != devices.resolve() / "shm":
        raise CygnetError(f"--to={path}: there is no such device; lsblk lists what there is")
    if not folder.is_dir():
        raise CygnetError(f"--to={path}: there is no directory {folder}")
    return Kind.FILE
