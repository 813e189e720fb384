"""unbound: a name server of the box's own that asks the DNS and checks its signatures (DNSSEC).

OpenSSL is linked in. Its configure wants expat, which only a program uses that is not built here: an empty header
will do. The event loop is its own, and there are no threads: one process, small. root.ds holds what all signatures
hang on. A board that has no room for it (1.2 MB) names it in `without`.
"""

from builder.recipes.build import Build
from builder.recipes.package import DebianSource, Package

package = Package(
    source=DebianSource("unbound", suites=("trixie-security", "trixie", "bookworm-security", "bookworm")),
    licence="BSD-3-Clause",
    summary="validating name server",
    licence_files=("LICENSE",),
    depends=("musl", "openssl"),
)


def build(b: Build) -> None:
    expat = b.work / "expat/include/expat.h"
    expat.parent.mkdir(parents=True)
    expat.touch()
    b.run(
        "./configure", f"--host={b.cpu.gnu}", "--prefix=/usr", "--sysconfdir=/etc", "--localstatedir=/var",
        "--disable-shared", "--enable-static", "--disable-flto", "--disable-rpath",
        "--without-pthreads", "--without-libevent",
        f"--with-ssl={b.sysroot}/usr", f"--with-libexpat={expat.parents[1]}",
        "--disable-gost", "--disable-dsa", "--with-conf-file=/etc/unbound.conf", "--with-run-dir=/run",
        "--with-pidfile=/run/unbound.pid", "--with-chroot-dir=", "--with-username=",
        f"CC={b.cc}", f"AR={b.ar}", f"RANLIB={b.ranlib}", "STRIP=true",
        f"CFLAGS={' '.join(b.cflags)}", f"LDFLAGS={' '.join(b.ldflags)}", "PKG_CONFIG=false",
    )  # fmt: skip
    b.make("unbound")
    b.install(b.source / "unbound", "usr/sbin/unbound")
    b.install(b.recipe / "root.ds", "usr/share/dns/root.ds", 0o644)
