"""linux: the kernel, XFRM and netfilter built in, no modules.

Its configuration is this folder's common.config and the board's kernel.config on top of
allnoconfig.  What is asked for and is not in the resulting .config stops the build: a dropped
symbol is found here, not in the field.
"""

import time
from pathlib import Path

from builder.checks.kernel_config import check_config
from builder.errors import CygnetError
from builder.recipes.build import Build
from builder.recipes.package import DebianSource, Package
from builder.settings import EPOCH

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
    environment = {
        "KCONFIG_ALLCONFIG": str(asked),
        "CCACHE_DIR": str(b.cache / "ccache"),
        "CCACHE_BASEDIR": str(b.work),
        # The tree's name stands for the compiler and its assembler, which ccache does not look at.
        "CCACHE_COMPILERCHECK": f"string:{b.tools.name}",
    }
    b.run(*make, "allnoconfig", env=environment)
    check_config(fragments, b.work / ".config")
    b.run(*make, f"-j{b.jobs}", b.board.kernel.image.rsplit("/", 1)[-1], env=environment)
    b.install_kernel(b.work / b.board.kernel.image, "boot/vmlinuz")
    if b.board.kernel.device_tree:
        device_tree(b, make, environment)
    b.install_dev(b.work / ".config", "boot/config")
    b.install_dev(b.work / "vmlinux", "boot/vmlinux")


def device_tree(b: Build, make: list[str], environment: dict[str, str]) -> None:
    """Compile the board's device tree: the kernel's, or the board folder's own."""
    path = b.board.kernel.device_tree
    folder, _, name = path.partition("/dts/")
    source = b.source / folder / "dts" / Path(name).with_suffix(".dts")
    if not source.is_file():
        raise CygnetError(
            f"{b.board.folder / 'board.toml'}: [kernel] device-tree: the kernel has no {source.relative_to(b.source)}"
        )
    b.run(*make, name, env=environment)
    b.install_kernel(b.work / path, "boot/device-tree.dtb")


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
