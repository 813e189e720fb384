"""linux: the kernel, XFRM and netfilter built in, no modules.

Its configuration is this folder's common.config and the board's kernel.config on top of
allnoconfig.  What is asked for and is not in the resulting .config stops the build: a dropped
symbol is found here, not in the field.  A device tree is the kernel's own, or stands in the board's
folder and takes in the kernel's by `#include <arm/marvell/...>`.
"""

import time
from pathlib import Path

from builder.checks.kernel_config import check_config
from builder.errors import CygnetError
from builder.recipes.build import Build
from builder.recipes.package import DebianSource, Package
from builder.settings import EPOCH
from builder.sources.lock import read_lock
from builder.tools.tree import LOCK, packages_of, read_groups

package = Package(
    source=DebianSource("linux"),
    licence="GPL-2.0-only WITH Linux-syscall-note",
    summary="kernel with XFRM, netfilter and the board's drivers",
    licence_files=("COPYING", "LICENSES/preferred/GPL-2.0", "LICENSES/exceptions/Linux-syscall-note"),
    per="board",
    shared_source=True,
)


def build(b: Build) -> None:
    fragments = [b.recipe / "common.config", b.board.folder / "kernel.config"]
    asked = b.work / "asked.config"
    asked.write_text("".join(fragment.read_text() for fragment in fragments))
    make = _make_words(b)
    tree = device_tree_source(b)
    environment = {
        "KCONFIG_ALLCONFIG": str(asked),
        "CCACHE_DIR": str(b.cache / "ccache"),
        "CCACHE_BASEDIR": str(b.work),
        "CCACHE_COMPILERCHECK": f"string:{compiler_packages(b)}",
        # Preprocess once, not twice. (Its depend mode, which never does, would not see what .incbin takes in.)
        "CCACHE_NOCPP2": "1",
    }
    b.run(*make, "allnoconfig", env=environment)
    check_config(fragments, b.work / ".config")
    b.run(*make, f"-j{b.jobs}", b.board.kernel.image.rsplit("/", 1)[-1], env=environment)
    b.install_kernel(b.work / b.board.kernel.image, "boot/vmlinuz")
    if tree and b.board.kernel.has_own_tree:
        b.install_kernel(compile_tree(b, tree), "boot/device-tree.dtb")
    elif tree:
        b.run(*make, b.board.kernel.device_tree.partition("/dts/")[2], env=environment)
        b.install_kernel(b.work / b.board.kernel.device_tree, "boot/device-tree.dtb")
    b.install_dev(b.work / ".config", "boot/config")
    b.install_dev(b.work / "vmlinux", "boot/vmlinux")


def device_tree_source(b: Build) -> Path | None:
    """Where the board's device tree comes from: the board's folder, the kernel, or nowhere because it needs none."""
    path = b.board.kernel.device_tree
    if not path or b.board.kernel.has_own_tree:
        return b.board.folder / path if path else None
    source = b.source / Path(path).with_suffix(".dts")
    if not source.is_file():
        raise CygnetError(
            f"{b.board.folder / 'board.toml'}: [kernel] device-tree: the kernel has no {source.relative_to(b.source)}"
        )
    return source


def compile_tree(b: Build, source: Path) -> Path:
    """Compile a device tree of the board's own as the kernel's Makefiles do theirs."""
    compiler = b.tools / "usr/bin" / f"{b.board.kernel.tools}-gcc-14"
    plain, compiled = b.work / "own-tree.dts", b.work / "own-tree.dtb"
    b.run(
        compiler, "-E", "-nostdinc", f"-I{b.source}/scripts/dtc/include-prefixes", "-undef", "-D__DTS__",
        "-x", "assembler-with-cpp", "-o", plain, source,
    )  # fmt: skip
    b.run(b.work / "scripts/dtc/dtc", "-q", "-I", "dts", "-O", "dtb", "-o", compiled, plain)
    return compiled


def compiler_packages(b: Build) -> str:
    """What ccache takes for the compiler: the packages it comes from, its assembler's among them, by their hashes.

    Not the compiler's file: that has the tools tree's place inside, which changes with any tool.
    """
    lock = read_lock(LOCK)
    return " ".join(lock[name].files[0].sha256 for name in packages_of(read_groups(), (b.board.kernel.tools,)))


def _make_words(b: Build) -> list[str]:
    """make's command line: the tools tree's compiler, and nothing that tells where or when it ran."""
    prefix = b.tools / "usr/bin" / f"{b.board.kernel.tools}-"
    return [
        "make", f"--directory={b.source}", f"O={b.work}", f"ARCH={b.board.kernel.arch}", f"CROSS_COMPILE={prefix}",
        f"CC={b.tools}/usr/bin/ccache {prefix}gcc-14",
        f"KBUILD_BUILD_TIMESTAMP={time.strftime('%a %b %d %H:%M:%S UTC %Y', time.gmtime(EPOCH))}",
        "KBUILD_BUILD_USER=cygnet", "KBUILD_BUILD_HOST=cygnet",
        "KBUILD_BUILD_VERSION=1",
    ]  # fmt: skip
