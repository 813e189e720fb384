"""cygnet: our own keying daemon and `ipsec` commands, as byte code where Debian's Python looks.

The source is this folder; its tests are no part of the package.  The updown script lies where FreeS/WAN
kept it, so that `leftupdown="ipsec _updown"` and a copy of it made by an administrator mean what they meant.
"""

import shutil

from builder.recipes.build import Build
from builder.recipes.package import Package

package = Package(
    source=None,
    licence="Apache-2.0",
    summary="keying daemon and ipsec commands",
    licence_files=("LICENSE",),
    depends=("python", "cryptography"),
    tools=("python",),
)

SITE = "usr/lib/python3/dist-packages"
UPDOWN = "updown/_updown"


def build(b: Build) -> None:
    shutil.copyfile(b.recipe / "LICENSE", b.source / "LICENSE")
    modules = b.root / SITE / "cygnet"
    shutil.copytree(b.recipe / "src/cygnet", modules, ignore=shutil.ignore_patterns("__pycache__", "py.typed"))
    b.compile_python(modules, f"/{SITE}/cygnet")
    b.install(modules / UPDOWN, "usr/lib/ipsec/_updown")
    (modules / UPDOWN).unlink()
    b.install(b.recipe / "ipsec", "usr/sbin/ipsec")
