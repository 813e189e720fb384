"""zlib: Python's compression, as an archive to link; no file of it is on the box."""

from builder.recipes.build import Build
from builder.recipes.package import DebianSource, Package

package = Package(
    source=DebianSource("zlib"),
    licence="Zlib",
    summary="compression library",
    licence_files=("LICENSE",),
)


def build(b: Build) -> None:
    compiler = {"CHOST": b.cpu.gnu, "CC": b.cc, "AR": b.ar, "RANLIB": b.ranlib, "CFLAGS": " ".join(b.cflags)}
    b.run("./configure", "--static", "--prefix=/usr", env=compiler)
    b.make("libz.a")
    b.install_dev(b.source / "libz.a", "usr/lib/libz.a")
    for header in ("zlib.h", "zconf.h"):
        b.install_dev(b.source / header, f"usr/include/{header}")
