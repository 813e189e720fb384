"""dropbear: the SSH server, its key maker, the client and scp, as one program.

What it offers is decided in localoptions.h. Its own copies of libtommath and libtomcrypt
are linked in. It waits in getrandom() until the kernel's pool is ready.
"""

import shutil

from builder.recipes.build import Build
from builder.recipes.package import DebianSource, Package

package = Package(
    source=DebianSource("dropbear"),
    licence="MIT AND BSD-2-Clause AND BSD-3-Clause AND Unlicense",
    summary="SSH server and client",
    licence_files=("LICENSE", "libtomcrypt/LICENSE", "libtommath/LICENSE"),
    depends=("musl",),
)

COMMANDS = {
    "dropbear": "usr/sbin/dropbear",
    "dropbearkey": "usr/bin/dropbearkey",
    "dbclient": "usr/bin/dbclient",
    "scp": "usr/bin/scp",
}


def build(b: Build) -> None:
    shutil.copyfile(b.recipe / "localoptions.h", b.source / "localoptions.h")
    b.run(
        "./configure", f"--host={b.cpu.gnu}", "--enable-bundled-libtom", "--disable-zlib",
        "--disable-lastlog", "--disable-utmp", "--disable-utmpx", "--disable-wtmp", "--disable-wtmpx",
        "--disable-loginfunc", "--disable-pututline", "--disable-pututxline",
        f"CC={b.cc}", f"AR={b.ar}", f"RANLIB={b.ranlib}", "STRIP=true",
        f"CFLAGS={' '.join(b.cflags)}", f"LDFLAGS={' '.join(b.ldflags)}",
    )  # fmt: skip
    b.make(f"PROGRAMS={' '.join(COMMANDS)}", "MULTI=1")
    b.install(b.source / "dropbearmulti", "usr/sbin/dropbearmulti")
    for path in COMMANDS.values():
        b.link("/usr/sbin/dropbearmulti", path)
