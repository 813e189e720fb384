"""musl: the C library and run-time loader that every program on the box shares.

Compiled from Debian's source, for its fixes, and not taken from zig, which brings its
own copy of the same version only to link against.
"""

from pathlib import Path

from builder.compiler.zig import zig_program
from builder.recipes.build import Build
from builder.recipes.package import DebianSource, Package

package = Package(
    source=DebianSource("musl"),
    licence="MIT",
    summary="C library and run-time loader",
    licence_files=("COPYRIGHT",),
)


def build(b: Build) -> None:
    run_time = compiler_run_time(b)
    b.run(
        "./configure", f"--target={b.cpu.gnu}", "--prefix=/usr", "--syslibdir=/lib", "--disable-static",
        f"CC={b.cc}", f"AR={b.ar}", f"RANLIB={b.ranlib}",
        f"CFLAGS={' '.join(b.cflags)}", f"LDFLAGS={' '.join(b.ldflags)} -rtlib=none -Wl,-z,defs",
        f"LIBCC={run_time}",
    )  # fmt: skip
    b.make("lib/libc.so")
    loader = f"ld-musl-{b.cpu.musl_arch}.so.1"
    b.install(b.source / "lib/libc.so", f"lib/{loader}")
    b.link(loader, "lib/libc.so")  # the name that programs carry; the loader itself does not look for it
    b.link(f"/lib/{loader}", "usr/bin/ldd")


def compiler_run_time(b: Build) -> Path:
    """zig's compiler run time as one object whose C library functions nobody sees.

    It has hidden copies of memcpy, sin and 60 others; linked as it is, it would hide musl's own, and
    libraries that programs load later would not find them.
    """
    everything, run_time = b.work / "compiler_rt.o", b.work / "run_time.o"
    b.run(
        zig_program(), "build-obj", "-target", b.cpu.zig_target, f"-mcpu={b.cpu.zig_cpu}", "-fPIC", "-OReleaseSmall",
        "-fstrip", "-ffunction-sections", "-fdata-sections", "-fno-compiler-rt", "--name", "compiler_rt",
        f"-femit-bin={everything}", zig_program().parent / "lib/compiler_rt.zig",
    )  # fmt: skip
    b.run(f"{b.cpu.binutils}-objcopy", "--wildcard", "--localize-symbol=[!_]*", everything, run_time)
    return run_time
