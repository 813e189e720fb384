"""musl: the C library and run-time loader that every program on the box shares.

Compiled from Debian's source, for its fixes, and not taken from zig, which brings its
own copy of the same version only to link against.
"""

from builder.recipes.build import Build
from builder.recipes.package import DebianSource, Package

package = Package(
    source=DebianSource("musl"),
    licence="MIT",
    summary="C library and run-time loader",
    licence_files=("COPYRIGHT",),
)


def build(b: Build) -> None:
    b.run(
        "./configure", f"--target={b.cpu.gnu}", "--prefix=/usr", "--syslibdir=/lib", "--disable-static",
        f"CC={b.cc}", f"AR={b.ar}", f"RANLIB={b.ranlib}",
        f"CFLAGS={' '.join(b.cflags)}", f"LDFLAGS={' '.join(b.ldflags)}",
        "LIBCC= ",  # zig links its own compiler run time; musl would look for libgcc
    )  # fmt: skip
    b.make("lib/libc.so")
    loader = f"ld-musl-{b.cpu.musl_arch}.so.1"
    b.install(b.source / "lib/libc.so", f"lib/{loader}")
    b.link(loader, "lib/libc.so")  # the name that programs carry; the loader itself does not look for it
    b.link(f"/lib/{loader}", "usr/bin/ldd")
