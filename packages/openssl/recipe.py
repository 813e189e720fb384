"""openssl: libcrypto and libssl as archives, to be linked into PyCA cryptography; no file of it is on the box.

3DES, MD5, SHA-1, finite-field DH, RC4 and scrypt stay: FreeS/WAN's peers need the first four, and
cryptography refers to the last two.  What neither needs is left out.  With no-module the legacy provider
is inside libcrypto, where cryptography asks for it when it is imported.
"""

import shutil

from builder.recipes.build import Build
from builder.recipes.package import DebianSource, Package

package = Package(
    source=DebianSource("openssl"),
    licence="Apache-2.0",
    summary="cryptography for PyCA cryptography (linked in)",
    licence_files=("LICENSE.txt",),
    depends=("musl",),
)

PROTOCOLS = "ssl3 ssl3-method tls1 tls1_1 dtls srp psk srtp sctp nextprotoneg quic http ts cmp cms ct ocsp"
CIPHERS = "idea seed camellia aria bf cast rc2 md4 mdc2 rmd160 whirlpool sm2 sm3 sm4 siphash gost ml-dsa slh-dsa ec2m"
PARTS = (
    "tests docs apps engine static-engine dso module comp zlib ssl-trace capieng padlockeng afalgeng "
    "devcryptoeng argon2 uplink ui-console autoload-config filenames shared"
)


def build(b: Build) -> None:
    without = [f"no-{name}" for name in f"{PROTOCOLS} {CIPHERS} {PARTS}".split()]
    b.run(
        "perl", "./Configure", *b.cpu.openssl, *without, "threads", "-fPIC", *b.cflags,
        "--prefix=/usr", "--libdir=lib", "--openssldir=/etc/ssl",
        env={"CC": b.cc, "AR": b.ar, "RANLIB": b.ranlib},
    )  # fmt: skip
    b.make("build_generated", "libcrypto.a", "libssl.a")
    for library in ("libcrypto.a", "libssl.a"):
        b.install_dev(b.source / library, f"usr/lib/{library}")
    shutil.copytree(b.source / "include/openssl", b.dev / "usr/include/openssl")
