"""busybox: init, supervision, the shell and the small tools of the box.

What it contains is listed in busybox.config. Whatever else the box carries in full
(iproute2, dropbear) is left out there.
"""

import re
from pathlib import Path

from builder.errors import CygnetError
from builder.recipes.build import Build
from builder.recipes.package import DebianSource, Package

package = Package(
    source=DebianSource("busybox"),
    licence="GPL-2.0-only",
    summary="init, service supervision, shell and tools",
    licence_files=("LICENSE",),
    depends=("musl",),
)


def build(b: Build) -> None:
    configure(b)
    # clang would read the pointer to an applet's globals before it is set, if that were const
    constant = "-DBB_GLOBAL_CONST="
    quiet = ["-Wno-ignored-attributes", "-Wno-ignored-optimization-argument"]  # gcc's, in every file
    b.make(
        "busybox", "busybox.links",
        f"CC={b.cc}", f"AR={b.ar}", "SKIP_STRIP=y", f"BB_EXTRA_VERSION={b.version}",
        env={"CFLAGS": " ".join([*b.cflags, constant, *quiet]), "LDFLAGS": " ".join(b.ldflags)},
    )  # fmt: skip
    b.install(b.source / "busybox", "bin/busybox")
    for applet in sorted((b.source / "busybox.links").read_text().split()):
        b.link("/bin/busybox", applet.lstrip("/"))


def configure(b: Build) -> None:
    """Make .config from busybox.config; a question left open ends oldconfig, as nobody answers it."""
    requested = b.recipe / "busybox.config"
    final = b.source / ".config"
    b.run("make", "defconfig")
    final.write_text(merge(final.read_text(), requested.read_text()))
    b.run("make", "oldconfig")
    missing = settings(requested) - settings(final)
    if missing:
        raise CygnetError(f"busybox did not accept {', '.join(sorted(missing))}: see the `depends on` in its Config.in")


def merge(defaults: str, requested: str) -> str:
    """The defaults' numbers and texts, none of its features, and the requests.

    busybox's allnoconfig will not do: it empties the numbers and texts too.
    """
    names = set(re.findall(r"^(CONFIG_\w+)=", requested, re.MULTILINE))
    kept = [line for line in defaults.splitlines() if line.partition("=")[0] not in names]
    return re.sub(r"^(CONFIG_\w+)=y$", r"# \1 is not set", "\n".join(kept), flags=re.MULTILINE) + "\n" + requested


def settings(config: Path) -> set[str]:
    """The lines of a configuration that set something."""
    return {line for line in config.read_text().splitlines() if line.startswith("CONFIG_")}
