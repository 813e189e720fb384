"""A few lines of make that say and leave what Buildroot does, for tests of what drives it.

As seen at Buildroot 2026.05.1: the lines that begin a step, the stamps, what make says of a step that failed, the form of
show-info.  Its options are those of the file `options`; a package whose name is in the file `fail` or `hang` does that
while it is built.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PACKAGES = {"host-gcc-final": "14.4.0", "zlib": "1.3.1", "own": "", "linux": "6.18.7"}
OPTIONS = "BR2_arm BR2_x86_64 BR2_CCACHE BR2_JLEVEL BR2_PACKAGE_ZLIB BR2_PACKAGE_OWN BR2_TARGET_ROOTFS_SQUASHFS"
SHA256 = "17e88863f3600672ab49182f217281b6fc4d3c762bde361935e436a95214d05c"
DEFCONFIG = "BR2_arm=y\nBR2_PACKAGE_ZLIB=y\n# BR2_PACKAGE_OWN is not set\n"
MAKEFILE = r"""
export BR2_VERSION := @VERSION@
.SECONDARY:
TOP := $(CURDIR)
CONFIG := $(O)/.config
known = grep -wFf $(TOP)/options.lines

defconfig:
	@$(known) $(BR2_DEFCONFIG) >$(CONFIG); echo "#\n# configuration written to $(CONFIG)\n#"

savedefconfig:
	@cp $(CONFIG) $(BR2_DEFCONFIG)

menuconfig:
	@sed -i 's/^# BR2_PACKAGE_OWN is not set/BR2_PACKAGE_OWN=y/' $(CONFIG)

show-info:
	@cat $(TOP)/show-info.json

source:
	@test -e $(O)/build/zlib-1.3.1 || echo '>>> zlib 1.3.1 Downloading'
	@mkdir -p $(O)/build/zlib-1.3.1 $(O)/build/linux-6.18.7
	@touch $(O)/build/zlib-1.3.1/.stamp_downloaded $(O)/build/linux-6.18.7/.stamp_downloaded

all: @STAMPS@
	@mkdir -p $(O)/images
	@echo '>>>   Finalizing target directory'
	@echo '>>> rootfs-squashfs  Generating filesystem image rootfs.squashfs'
	@for name in rootfs.squashfs zImage versatile-pb.dtb; do echo "$$name of Buildroot" >$(O)/images/$$name; done

$(O)/build/%/.stamp_patched:
	@echo '>>> $(PKG) Extracting'
	@mkdir -p $(@D)
	@test ! -e $(@D)/unpacked || { echo 'Reversed (or previously applied) patch detected!'; exit 1; }
	@touch $(@D)/unpacked
	@echo '>>> $(PKG) Patching'
	@! grep -qx $(firstword $(PKG)) $(TOP)/hang || sleep 600
	@touch $@

$(O)/build/%/.stamp_built: $(O)/build/%/.stamp_patched
	@printf '\033[7m>>> $(PKG) Building\033[27m\n'
	@! grep -qx $(firstword $(PKG)) $(TOP)/fail || { echo "zlib.c:5:1: error: unknown type name 'z'"; exit 1; }
	@touch $@

$(O)/build/%/.stamp_installed: $(O)/build/%/.stamp_built
	@echo '>>> $(PKG) Installing to target'
	@touch $@

%-dirclean:
	@rm -rf $(O)/build/$* $(O)/build/$*-[0-9]*
"""


def make_buildroot(folder: Path, version: str = "2026.05.1") -> Path:
    """A folder that is a Buildroot for whoever does not look closer."""
    stamps = [f"$(O)/{directory(name)}/.stamp_installed" for name in PACKAGES]
    rules = [
        f"{stamp.rsplit('/', 1)[0]}/%: PKG = {name} {PACKAGES[name]}"
        for name, stamp in zip(PACKAGES, stamps, strict=True)
    ]
    for place in ("package/zlib", "support/scripts"):
        (folder / place).mkdir(parents=True)
    text = MAKEFILE.replace("@VERSION@", version).replace("@STAMPS@", " ".join(stamps))
    (folder / "Makefile").write_text(text + "\n".join(rules) + "\n")
    for name in ("fail", "hang", "Config.in"):
        (folder / name).write_text("")
    (folder / "options.lines").write_text("\n".join(OPTIONS.split()) + "\n")
    (folder / "package/zlib/zlib.hash").write_text(f"# From upstream\nsha256  {SHA256}  zlib-1.3.1.tar.xz\n")
    (folder / "package/zlib/0001-fix.patch").write_text("--- a\n+++ b\n")
    (folder / "show-info.json").write_text(json.dumps(show_info()) + "\n")
    return folder


def make_external(folder: Path, defconfig: str = DEFCONFIG, board: str = "armv5") -> Path:
    """An external tree with one package of its own."""
    for place in ("configs", "package/own"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    (folder / f"configs/cygnet_{board}_defconfig").write_text(defconfig)
    (folder / "package/own/own.mk").write_text("OWN_LICENSE = Apache-2.0\n")
    return folder


def directory(name: str) -> str:
    """Where a package is built."""
    return f"build/{name}-{PACKAGES[name]}".rstrip("-")


def show_info() -> dict[str, Any]:
    """As `make show-info` says it."""
    common = {"virtual": False, "hashes": [], "patches": [], "downloads": [], "reverse_dependencies": []}
    info: dict[str, Any] = {
        name: {
            **common, "type": "host" if name.startswith("host-") else "target", "name": name.removeprefix("host-"),
            "version": version, "licenses": "unknown", "package_dir": f"package/{name}", "stamp_dir": directory(name),
            "install_target": True, "install_images": False, "dependencies": [],
            "dl_dir": name.removeprefix("host-"),
        }
        for name, version in PACKAGES.items()
    }  # fmt: skip
    archive = "zlib-1.3.1.tar.xz"
    where = ["https+https://www.zlib.net", "https|urlencode+https://sources.buildroot.net/zlib"]
    info["zlib"] |= {
        "licenses": "Zlib", "hashes": ["package/zlib/zlib.hash"], "patches": ["package/zlib/0001-fix.patch"],
        "downloads": [{"source": archive, "uris": where}], "install_target": False,
        "cpe-id": "cpe:2.3:a:zlib:zlib:1.3.1:*:*:*:*:*:*:*",
    }  # fmt: skip
    info["linux"] |= {"licenses": "GPL-2.0", "install_images": True, "dependencies": ["compression", "host-gcc-final"]}
    info["linux"] |= {
        "version": "custom", "cpe-id": "cpe:2.3:o:linux:linux_kernel:custom:-:*:*:*:*:*:*",
        "downloads": [{"source": "linux_6.12.107.orig.tar.xz", "uris": ["http+http://a.example/linux"]}],
    }  # fmt: skip
    info["own"] |= {
        "licenses": "GPL-2.0+ (programs), bzip2-1.0.4",
        "downloads": [{"source": "own-0.1.0.tar.gz", "uris": ["local+/srv/own", *where]}],
    }
    info["compression"] = {"type": "target", "name": "compression", "virtual": True, "dependencies": ["zlib"]}
    info["rootfs-squashfs"] = {"type": "rootfs", "image_name": "rootfs.squashfs", "dependencies": ["host-gcc-final"]}
    return info
