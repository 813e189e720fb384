"""libffi: what cffi's back end calls C functions with, as an archive; no file of it is on the box.

bookworm's version: trixie's tarball comes without a configure script.
"""

from builder.recipes.build import Build
from builder.recipes.package import DebianSource, Package

package = Package(
    source=DebianSource("libffi", suites=("bookworm-security", "bookworm")),
    licence="MIT",
    summary="foreign function calls for cffi (linked in)",
    licence_files=("LICENSE",),
    depends=("musl",),
)


def build(b: Build) -> None:
    b.run(
        b.source / "configure", f"--host={b.cpu.gnu}", "--build=x86_64-pc-linux-gnu", "--prefix=/usr",
        "--disable-shared", "--enable-static", "--with-pic", "--disable-docs", "--disable-multi-os-directory",
        "--disable-exec-static-tramp", "--disable-dependency-tracking",
        "CXX=no",  # libtool would have zig compile all of libc++ to look at it
        # configure looks for gcc's assembler output to find this out
        "libffi_cv_hidden_visibility_attribute=yes",
        f"CC={b.cc}", f"AR={b.ar}", f"RANLIB={b.ranlib}", f"CFLAGS={' '.join(b.cflags)}",
        cwd=b.work,
    )  # fmt: skip
    b.make("MAKEINFO=true", cwd=b.work)
    library = b.work / ".libs/libffi.a"
    # Nobody unwinds a stack on the box, and MIPS's table has addresses that a shared library cannot have.
    b.run(f"{b.cpu.binutils}-objcopy", "--remove-section=.eh_frame", "--remove-section=.rel.eh_frame", library)
    b.install_dev(library, "usr/lib/libffi.a")
    for header in ("ffi.h", "ffitarget.h"):
        b.install_dev(b.work / "include" / header, f"usr/include/{header}")
