"""iproute2: the ip command: addresses, routes, links, tunnels, IPsec state and policy, network namespaces.

Its configure asks the build machine for libraries; config.mk stands for its answers.
bookworm's version: trixie's asks for more and brings nothing that the box uses.
"""

import shutil

from builder.recipes.build import Build
from builder.recipes.package import DebianSource, Package

package = Package(
    source=DebianSource("iproute2", suites=("bookworm-security", "bookworm")),
    licence="GPL-2.0-or-later AND GPL-2.0-only WITH Linux-syscall-note",
    summary="ip: network and IPsec configuration",
    licence_files=("COPYING",),
    depends=("musl",),
)


def build(b: Build) -> None:
    shutil.copyfile(b.recipe / "config.mk", b.source / "config.mk")
    flags = [*b.cflags, "-include", "libgen.h"]  # musl declares basename() there only
    b.make(
        "SUBDIRS=lib ip", "TARGETS=ip", "SCRIPTS=", "SHARED_LIBS=n", "NETNS_RUN_DIR=/run/netns",
        f"CC={b.cc}", f"AR={b.ar}", f"CCOPTS={' '.join(flags)}", f"LDFLAGS={' '.join(b.ldflags)}",
    )  # fmt: skip
    b.install(b.source / "ip/ip", "sbin/ip")
