"""ppp: pppd and its plug-in for PPPoE, with PAP, CHAP (MD5) and EAP of that kind.

No Microsoft extensions, compression, IPv6, multilink, TLS. Its makefiles make plug-ins by libtool: the few files are
compiled here at once.
"""

from builder.recipes.build import Build
from builder.recipes.package import DebianSource, Package

package = Package(
    source=DebianSource("ppp"),
    licence="BSD-3-Clause AND BSD-Attribution-HPND-disclaimer AND sun-ppp-2000 AND GPL-2.0-or-later",
    summary="PPPoE on the WAN",
    licence_files=("debian/copyright", "LICENSE.GPL-2"),
    depends=("musl",),
)

PLUGINS = "/usr/lib/pppd"
WITHOUT = "ipv6cp microsoft-extensions eaptls peap openssl-engine multilink systemd maintainer-mode".split()
PPPD = """
    auth ccp chap-md5 chap crypto demand eap ecp fsm ipcp lcp magic main options ppp-des ppp-md4 ppp-md5 ppp-sha1
    session sys-linux tty upap utils
""".split()
PPPOE = ["plugin", "discovery", "if", "common"]


def build(b: Build) -> None:
    b.run(
        "./configure", f"--host={b.cpu.gnu}", "--prefix=/usr", "--sysconfdir=/etc",
        "--without-openssl", "--without-pam", "--without-pcap", "--without-srp",
        *(f"--disable-{name}" for name in WITHOUT),
        f"CC={b.cc}", f"AR={b.ar}", f"RANLIB={b.ranlib}", f"CFLAGS={' '.join(b.cflags)}", "PKG_CONFIG=false",
        # Nobody's password on the box is asked for.
        env={"ac_cv_header_crypt_h": "no", "ac_cv_header_shadow_h": "no"},
    )  # fmt: skip
    paths = {
        "SYSCONFDIR": "/etc",
        "PPPD_RUNTIME_DIR": "/run",
        "PPPD_LOGFILE_DIR": "/var/log",
        "PPPD_PLUGIN_DIR": PLUGINS,
    }
    names = [f'-D{name}="{path}"' for name, path in paths.items()]
    flags = [*b.cflags, "-DHAVE_CONFIG_H", "-DHAVE_STRUCT_SOCKADDR_LL", *names, "-I."]
    sources = [f"pppd/{name}.c" for name in PPPD]
    b.run(b.cc, *flags, *sources, *b.ldflags, "-Wl,-E", "-o", "pppd/pppd")
    sources = [f"pppd/plugins/pppoe/{name}.c" for name in PPPOE]
    b.run(b.cc, "-shared", "-fPIC", "-DPLUGIN", *flags, *sources, *b.ldflags, "-o", "pppoe.so")
    b.install(b.source / "pppd/pppd", "usr/sbin/pppd")
    b.install(b.source / "pppoe.so", f"{PLUGINS[1:]}/pppoe.so")
