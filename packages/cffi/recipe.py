"""cffi: the back end that cryptography's C part is loaded through; nothing else of cffi is on the box.

Debian's pool lacks the version that knows Python 3.13; the index's file has the very hash that
Debian's signed index names for it.
"""

from builder.recipes.build import Build
from builder.recipes.package import Package, PypiSource

package = Package(
    source=PypiSource("cffi", "1.17.1"),
    licence="MIT",
    summary="C function calls, for cryptography",
    licence_files=("LICENSE",),
    depends=("musl", "python", "libffi"),
)


def build(b: Build) -> None:
    headers = b.sysroot / "usr/include/python3.13"
    library = b.work / "_cffi_backend.so"
    b.run(
        b.cc, "-shared", "-fPIC", *b.cflags, *b.ldflags, "-DNDEBUG", "-fwrapv", "-fvisibility=hidden",
        "-DFFI_BUILDING=1", "-DUSE__THREAD", "-DHAVE_SYNC_SYNCHRONIZE", "-Wl,-soname,_cffi_backend.so",
        f"-I{headers}", "_cffi_backend.c", "-lffi", "-o", library,
        cwd=b.source / "src/c",
    )  # fmt: skip
    b.install(library, "usr/lib/python3/dist-packages/_cffi_backend.so")
