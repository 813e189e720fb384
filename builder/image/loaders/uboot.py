"""U-Boot from a disk: a script on the boot partition chooses the slot, a FIT in the slot holds kernel and device tree.

Which slot is good and which is on trial stands in one sector behind the MBR, as text: U-Boot writes it in one go,
so that a power cut leaves the old or the new text.  The FIT's hashes are checked before it is started.
"""

from __future__ import annotations

from pathlib import Path

from builder.boards import Board
from builder.errors import RecipeError
from builder.image.layout import SECTOR
from builder.image.loaders.loader import Boot, render
from builder.run import Runner

SCRIPT = "boot.cmd.j2"
TEMPLATES: tuple[str, ...] = (SCRIPT,)
TOOLS: tuple[str, ...] = ("u-boot",)
KERNEL_IN_ROOT = False

FIT = """\
/dts-v1/;
/ {{
	description = "{name}";
	#address-cells = <1>;
	images {{
		kernel {{
			data = /incbin/("{kernel}");
			type = "kernel"; arch = "{arch}"; os = "linux"; compression = "none";
			load = <{load:#x}>; entry = <{load:#x}>;
			hash {{ algo = "sha256"; }};
		}};{device_tree}
	}};
	configurations {{ default = "box"; box {{ kernel = "kernel";{uses} }}; }};
}};
"""
DEVICE_TREE = """
		device-tree {{
			data = /incbin/("{file}");
			type = "flat_dt"; arch = "{arch}"; compression = "none";
			hash {{ algo = "sha256"; }};
		}};"""


def environment(**variables: str) -> bytes:
    """One sector of text, as U-Boot's `env import -t` reads it and `env export -t` writes it."""
    return "".join(f"{name}={value}\n" for name, value in variables.items()).encode().ljust(SECTOR, b"\0")


def boot(board: Board, tools: Path, work: Path, runner: Runner) -> Boot:
    """The environment's sector and the script, packed as U-Boot's `source` takes it."""
    text = work / "boot.cmd"
    text.write_text(render(board, SCRIPT))
    mkimage(tools, ["-T", "script", "-C", "none", "-n", "boot", "-d", str(text), "boot.scr"], work, runner)
    return Boot(gap=environment(slot="a"), files={"boot.scr": (work / "boot.scr").read_bytes()})


def kernel(board: Board, system: Path, tools: Path, work: Path, runner: Runner) -> bytes:
    """The FIT."""
    tree, source = system / "device-tree.dtb", work / "kernel.its"
    source.write_text(fit(board, str(system / "vmlinuz"), str(tree) if tree.is_file() else ""))
    mkimage(tools, ["-f", str(source), "kernel.itb"], work, runner)
    return (work / "kernel.itb").read_bytes()


def fit(board: Board, kernel: str, tree: str) -> str:
    """What mkimage makes the FIT of: the files ``kernel`` and ``tree``, which may be none."""
    if not board.kernel.load_address:
        raise RecipeError(board.folder / "board.toml", 1, "loader 'u-boot' needs [kernel] load-address")
    arch = board.kernel.arch
    return FIT.format(
        name=board.name, kernel=kernel, arch=arch, load=board.kernel.load_address,
        device_tree=DEVICE_TREE.format(file=tree, arch=arch) if tree else "",
        uses=' fdt = "device-tree";' if tree else "",
    )  # fmt: skip


def mkimage(tools: Path, words: list[str], work: Path, runner: Runner) -> None:
    """Run U-Boot's image maker."""
    # It runs dtc by its name.
    runner.run([str(tools / "usr/bin/mkimage"), *words], cwd=work, env={"PATH": f"{tools}/usr/bin:/usr/bin:/bin"})
