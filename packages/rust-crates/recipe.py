"""rust-crates: the crates that Rust's standard library is made of, as rustc's own source vendors them.

For our CPUs nobody has a compiled standard library, so cryptography compiles it too.  Crates for
Windows, which Debian leaves out, are named by Cargo.lock and never compiled: empty ones stand for them.
"""

import json
import shutil
import tomllib
from pathlib import Path

from builder.recipes.build import Build
from builder.recipes.package import DebianSource, Package

package = Package(
    source=DebianSource("rustc", skip=("extra",)),
    licence="Apache-2.0 OR MIT",
    summary="crates of Rust's standard library",
    licence_files=("LICENSE-MIT", "LICENSE-APACHE"),
    per="all",
)

REGISTRY = "usr/share/cargo/registry"
WINDOWS_FEATURES = [
    "Win32_Foundation", "Win32_System", "Win32_System_Threading", "Win32_System_Memory",
    "Win32_System_SystemInformation", "Win32_System_Performance", "Win32_Security",
]  # fmt: skip


def build(b: Build) -> None:
    lock = tomllib.loads((b.source / "library/Cargo.lock").read_text())
    for crate in lock["package"]:
        if "checksum" not in crate:
            continue
        name = f"{crate['name']}-{crate['version']}"
        vendored, place = b.source / "vendor" / name, b.dev / REGISTRY / name
        if vendored.is_dir():
            shutil.copytree(vendored, place)
        else:
            _write_empty(place, crate["name"], crate["version"], crate["checksum"])


def _write_empty(place: Path, name: str, version: str, checksum: str) -> None:
    features = {feature: list[str]() for feature in WINDOWS_FEATURES} if name == "windows-sys" else {}
    lines = [f'[package]\nname = "{name}"\nversion = "{version}"\nedition = "2018"\n[features]']
    (place / "src").mkdir(parents=True)
    (place / "src/lib.rs").write_text("#![no_std]\n")
    (place / "Cargo.toml").write_text("\n".join([*lines, *(f"{feature} = []" for feature in features)]) + "\n")
    (place / ".cargo-checksum.json").write_text(json.dumps({"files": {}, "package": checksum}))
