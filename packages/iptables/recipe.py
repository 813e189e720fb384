"""iptables: the IPv4 and IPv6 packet filter, legacy (xtables) back end, as one program.

The back end for nf_tables would need libmnl and libnftnl, whose sources Debian's mirror
lacks, and a larger kernel. Extensions are linked in: no plug-in is loaded at run time.
"""

from pathlib import Path

from builder.recipes.build import Build
from builder.recipes.package import DebianSource, Package

package = Package(
    source=DebianSource("iptables", suites=("bookworm-security", "bookworm")),
    licence="GPL-2.0-or-later AND GPL-2.0-only AND Artistic-2.0",
    summary="IPv4 and IPv6 packet filter",
    licence_files=("COPYING",),
    depends=("musl",),
)

# Names of source files; conntrack brings state, NAT brings SNAT, DNAT, REDIRECT and MASQUERADE, CT brings NOTRACK.
MATCHES = """
    addrtype ah comment connmark conntrack esp hashlimit icmp icmp6 iprange length limit
    mac mark multiport policy recent rpfilter tcp tcpmss udp
""".split()
TARGETS = ["CONNMARK", "CT", "LOG", "MARK", "NAT", "NETMAP", "NFLOG", "REJECT", "TCPMSS", "standard"]
COMMANDS = [f"ip{version}tables{verb}" for version in ("", "6") for verb in ("", "-save", "-restore")]


def build(b: Build) -> None:
    keep_extensions(b.source / "extensions", {*MATCHES, *TARGETS})
    b.run(
        "./configure", f"--host={b.cpu.gnu}", "--prefix=/usr", "--sbindir=/usr/sbin",
        "--enable-static", "--disable-shared", "--disable-nftables", "--disable-connlabel", "--disable-devel",
        f"CC={b.cc}", f"AR={b.ar}", f"RANLIB={b.ranlib}",
        f"CFLAGS={' '.join(b.cflags)}", f"LDFLAGS={' '.join(b.ldflags)}",
        "PKG_CONFIG=false",  # libraries of this machine are not the box's
    )  # fmt: skip
    b.make()
    b.install(b.source / "iptables/xtables-legacy-multi", "usr/sbin/xtables-legacy-multi")
    for command in COMMANDS:
        b.link("xtables-legacy-multi", f"usr/sbin/{command}")


def keep_extensions(folder: Path, wanted: set[str]) -> None:
    """Remove the other extensions' sources: the makefile builds whatever it finds."""
    for file in folder.glob("lib*_*.c"):
        if file.stem.partition("_")[2] not in wanted:
            file.unlink()
