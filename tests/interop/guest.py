"""A peer in a QEMU guest, with a kernel and ESP of its own: an unpacked tree (debian_tree.py) as initramfs.

Commands go over a virtio port, QEMU's standard input and output: unlike a UART it loses nothing.  QEMU runs in
a machine of network.py only so that it ends with the test; the guest's cards are wires of builder/qemu.py.
"""

from __future__ import annotations

import base64
import itertools
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from debian_tree import in_tree, kept, tree
from network import Node

from builder.qemu import BARE, Card, wire_end
from builder.smoke.waiting import wait_for

INIT = Path(__file__).with_name("guest_init.sh")
MEMORY = "384"
QEMU = "qemu-system-x86_64"
NIC = "virtio-net-pci,romfile="
# Of the kernel's modules: what the networks and ESP of the guests need.
MODULES = ("arch", "crypto", "lib", "net/core", "net/ipv4", "net/ipv6", "net/key", "net/netfilter", "net/xfrm")
CARDS = ("failover", "net_failover", "veth", "dummy", "virtio_net")
BOOT_SECONDS = 150.0


def initramfs(name: str) -> Path:
    """The initramfs of the list ``name`` of peers.toml."""
    peer, kernel = tree(name), tree("kernel")
    contents = f"{peer} {kernel} {INIT.read_text()} {Path(__file__).read_text()}"
    return kept(f"{name}-initramfs", contents, lambda place: _make_initramfs(peer, kernel, place))


def vmlinuz() -> Path:
    """The guests' kernel."""
    return next((tree("kernel") / "boot").glob("vmlinuz-*"))


def _make_initramfs(peer: Path, kernel: Path, place: Path) -> None:
    """Two archives, one after the other: the kernel reads both."""
    addition = place.with_name("addition")
    _add_modules(kernel, addition)
    shutil.copy(INIT, addition / "init")
    (addition / "init").chmod(0o755)
    with place.open("wb") as archive:
        for folder in (peer, addition):
            names = "\0".join(["."] + sorted(str(file.relative_to(folder)) for file in folder.rglob("*")))
            command = ["cpio", "--create", "--format=newc", "--null", "--quiet", "--owner=+0:+0"]
            subprocess.run(command, cwd=folder, input=names.encode(), stdout=archive, check=True)


def _add_modules(kernel: Path, to: Path) -> None:
    found = next((kernel / "usr/lib/modules").iterdir())
    modules = to / "usr/lib/modules" / found.name
    for part in MODULES:
        shutil.copytree(found / "kernel" / part, modules / "kernel" / part)
    for card in CARDS:
        source = next(found.rglob(f"{card}.ko*"))
        (modules / source.relative_to(found)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, modules / source.relative_to(found))
    for listing in found.glob("modules.*"):
        shutil.copy(listing, modules)
    depmod = in_tree(kernel, "usr/sbin/depmod", "--basedir", str(to), "--moduledir", "/usr/lib/modules", found.name)
    subprocess.run(depmod, check=True)


@dataclass(frozen=True)
class Hub:
    """A card on a hub that also leads to other guests: name of each -> (socket here, socket there)."""

    mac: str
    ends: dict[str, tuple[Path, Path]]
    capture: Path

    def words(self, nic: str) -> list[str]:
        """Its part of QEMU's command line."""
        found = []
        for name, (here, there) in self.ends.items():
            # The backend of a plain card; its device stays away.
            found += wire_end(f"to-{name}", "", here, there).words(nic)[:2]
            found += ["-netdev", f"hubport,id=port-{name},hubid=1,netdev=to-{name}"]
        return [*found, *Card("wan", self.mac, "hubport,hubid=1", self.capture).words(nic)]


class Guest:
    """One guest, by its list in peers.toml. Start several, then wait for each: they boot side by side."""

    def __init__(self, name: str, host: Node, cards: Sequence[Card | Hub], folder: Path) -> None:
        self.name = name
        self._console = folder / f"console_{name}"
        self._heard = b""
        self._numbers = itertools.count(1)
        command = [
            QEMU, *BARE, "-M", "q35", "-accel", "tcg,tb-size=64", "-cpu", "qemu64", "-m", MEMORY, "-no-reboot",
            "-kernel", str(vmlinuz()), "-initrd", str(initramfs(name)), "-append", "console=ttyS0 quiet panic=-1",
            "-serial", f"file:{self._console}",
            "-chardev", "stdio,id=commands,signal=off", "-device", "virtio-serial-pci",
            "-device", "virtserialport,chardev=commands",
            *(word for card in cards for word in card.words(NIC)),
        ]  # fmt: skip
        self._qemu = host.start(command, folder / f"qemu_{name}", talks=True)

    def wait(self, seconds: float = BOOT_SECONDS) -> None:
        """Until it takes commands."""
        self.text("true", seconds)

    def run(self, command: str, timeout: float = 30.0) -> tuple[str, int]:
        """Output (errors among it) and exit status."""
        end = f"--{next(self._numbers)}-ended-"
        self._qemu.say(f"{{ {command}\n}} </dev/null 2>&1; echo {end}$?\n".encode())
        text = self._until(end.encode(), time.monotonic() + timeout)
        return text, int(self._until(b"\n", time.monotonic() + timeout))

    def text(self, command: str, timeout: float = 30.0) -> str:
        """Output of a command; the test fails if the command does."""
        output, status = self.run(command, timeout)
        assert status == 0, f"{self.name}: `{command}` ended with status {status}\n{output}"
        return output

    def send(self, folder: Path, to: str) -> None:
        """Copy a folder's contents."""
        packed = subprocess.run(["tar", "-C", str(folder), "-cz", "."], stdout=subprocess.PIPE, check=True).stdout
        text = base64.b64encode(packed).decode()
        self.text(f"mkdir -p {to} && base64 -d <<'end of file' | tar -C {to} -xz\n{text}\nend of file")

    def write(self, file: str, content: str) -> None:
        """Put a text file in place; its folder is made."""
        assert "\nend of file\n" not in content
        self.text(f"mkdir -p {Path(file).parent} && cat >{file} <<'end of file'\n{content}\nend of file")

    def wait_for(self, command: str, good: Callable[[str], bool], seconds: float = 60.0) -> str:
        """Repeat a command until its output is good; the last output fails the test if it never is."""
        return wait_for(self, command, good, seconds)

    def off(self) -> None:
        """Cut its power."""
        self._qemu.end()

    def _until(self, end: bytes, deadline: float) -> str:
        """What it says before ``end``."""
        while end not in self._heard:
            heard = self._qemu.hear(deadline - time.monotonic())
            assert heard, f"{self.name} fell silent after {self._heard[-300:]!r}; its console: {self._last_words()}"
            self._heard += heard
        text, _, self._heard = self._heard.partition(end)
        return text.decode(errors="replace")

    def _last_words(self) -> str:
        return self._console.read_text(errors="replace")[-600:] if self._console.exists() else "not there"
