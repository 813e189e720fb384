"""cargo for the box's CPU: target description, registry, linker and environment.

The standard library is compiled with each product (cargo's build-std), since no distribution has it
for our CPUs.  Panics abort; nothing unwinds.
"""

from __future__ import annotations

import json
from pathlib import Path

from builder.recipes.build import Build

# What a target of rustc's brings for its own linker and start files; zig has these.
DROPPED = ("pre-link", "post-link", "crt-objects", "late-link", "metadata")
# Debian has these too, in versions that are not the standard library's.
OF_STD = ("rustc-std-workspace", "compiler_builtins")
REGISTRY = "usr/share/cargo/registry"

LINKER = """\
#!/bin/sh
# zig as rustc's linker: drops what it does not know
set -eu
for word; do
    shift
    case $word in
        -lgcc_s) word=-lunwind ;;
        -lgcc|-lgcc_eh|-nodefaultlibs|-nostartfiles|-m32|-Wl,-melf_i386) continue ;;
        -Wl,--no-undefined-version*|-Wl,--eh-frame-hdr*|-Wl,--strip-all|-Wl,--strip-debug) continue ;;
    esac
    set -- "$@" "$word"
done
exec {cc} -Os -g "$@" -Wl,-Bstatic -latomics -Wl,-Bdynamic -Wl,--gc-sections -lunwind
"""


def cargo_environment(b: Build) -> dict[str, str]:
    """The environment for ``cargo build --target <target_file()>``."""
    target = b.cpu.rust.target
    small, big = target.replace("-", "_"), target.replace("-", "_").upper()
    linker = b.work / "linker"
    linker.write_text(LINKER.format(cc=b.cc))
    linker.chmod(0o755)
    _write_config(b)
    return {
        "RUSTC_BOOTSTRAP": "1",  # build-std and our own target are not in stable Rust
        "CARGO_HOME": str(b.work / "cargo"),
        "CARGO_TARGET_DIR": str(b.work / "target"),
        "CARGO_INCREMENTAL": "0",
        f"CARGO_TARGET_{big}_LINKER": str(linker),
        "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER": "cc",
        "HOST_CC": "cc",
        "CC_x86_64_unknown_linux_gnu": "cc",
        f"CC_{small}": b.cc,
        f"AR_{small}": b.ar,
        "CRATE_CC_NO_DEFAULTS": "1",
        "CARGO_PROFILE_RELEASE_OPT_LEVEL": "s",
        "CARGO_PROFILE_RELEASE_LTO": "false",
        "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "4",
        "CARGO_PROFILE_RELEASE_PANIC": "abort",
        "CARGO_PROFILE_RELEASE_STRIP": "none",
        "CARGO_PROFILE_RELEASE_DEBUG": "0",
        "RUSTFLAGS": " ".join(["-Cforce-unwind-tables=no", "-Zlocation-detail=none", *_remapped(b)]),
    }


def target_file(b: Build) -> Path:
    """rustc's description of the box: a built-in target with our CPU, shared musl and no unwinding."""
    printed = b.output(
        "rustc", "-Zunstable-options", f"--target={b.cpu.rust.base}", "--print=target-spec-json",
        env={"RUSTC_BOOTSTRAP": "1"},
    )  # fmt: skip
    spec = {name: value for name, value in json.loads(printed).items() if not name.startswith(DROPPED)}
    spec |= {
        "cpu": b.cpu.rust.cpu,
        # Two words at a time, by compiler-rt's lock: std and openssl refer to 64-bit atomics.
        "max-atomic-width": 64,
        "panic-strategy": "abort",
        "crt-static-default": False,
        "frame-pointer": "may-omit",
    }
    file = b.work / f"{b.cpu.rust.target}.json"
    file.write_text(json.dumps(spec, indent=1, sort_keys=True))
    return file


def _write_config(b: Build) -> None:
    """One directory of crates: those of std in the sysroot, all others in the tools tree."""
    registry = b.work / "registry"
    registry.mkdir()
    for crate in sorted((b.sysroot / REGISTRY).iterdir()):
        (registry / crate.name).symlink_to(crate)
    for crate in sorted((b.tools / REGISTRY).iterdir()):
        if not (registry / crate.name).exists() and not crate.name.startswith(OF_STD):
            (registry / crate.name).symlink_to(crate)
    (b.work / "cargo").mkdir()
    (b.work / "cargo/config.toml").write_text(
        '[source.crates-io]\nreplace-with = "here"\n'
        f"[source.here]\ndirectory = {json.dumps(str(registry))}\n"
        '[unstable]\nbuild-std = ["std", "panic_abort"]\nbuild-std-features = []\n'
        "[net]\noffline = true\n"
    )


def _remapped(b: Build) -> list[str]:
    """No path of this machine in a message or a hash."""
    names = {b.tools: "/tools", b.sysroot: "/sysroot", b.source: f"/usr/src/{b.name}", b.work: "/build"}
    return [f"--remap-path-prefix={path}={name}" for path, name in names.items()]
