"""cryptography: PyCA's library, Rust and OpenSSL in one module; no distribution has it for a 486 or MIPS.

Debian's source, unpatched by us.  libssl is linked only because the C part names it; the linker drops
nearly all of it.
"""

import shutil

from builder.compiler.rust import cargo_environment, target_file
from builder.recipes.build import Build
from builder.recipes.package import DebianSource, Package

package = Package(
    source=DebianSource("python-cryptography"),
    licence="(Apache-2.0 OR BSD-3-Clause) AND Apache-2.0 AND MIT",
    summary="PyCA cryptography, with OpenSSL inside",
    licence_files=("LICENSE", "LICENSE.APACHE", "LICENSE.BSD"),
    depends=("musl", "python", "openssl", "cffi", "rust-crates"),
    tools=("rust", "crates", "python"),
)

SITE = "usr/lib/python3/dist-packages"  # where Debian's Python looks
MODULE = "cryptography/hazmat/bindings/_rust.abi3.so"


def build(b: Build) -> None:
    crate = b.source / "src/rust"
    environment = {**cargo_environment(b), **library_places(b)}
    (crate / "Cargo.lock").unlink(missing_ok=True)  # it names other versions than Debian's crates
    b.run("cargo", "generate-lockfile", "--offline", cwd=crate, env=environment)
    b.run(
        "cargo", "build", "--release", "--offline", f"--jobs={b.jobs}", f"--target={target_file(b)}",
        "--features=pyo3/abi3-py311",
        cwd=crate, env=environment,
    )  # fmt: skip
    b.record_parts(crates(b, environment))
    install(b)


def library_places(b: Build) -> dict[str, str]:
    """Where the Python headers and OpenSSL are, for pyo3, openssl-sys and the C part."""
    flags = [*b.cflags, "-fPIC", f"-I{b.sysroot}/usr/include/python3.13"]
    return {
        f"CFLAGS_{b.cpu.rust.target.replace('-', '_')}": " ".join(flags),
        "OPENSSL_LIB_DIR": f"{b.sysroot}/usr/lib",
        "OPENSSL_INCLUDE_DIR": f"{b.sysroot}/usr/include",
        "OPENSSL_LIBS": "ssl:crypto",
        "OPENSSL_STATIC": "1",
        "OPENSSL_NO_VENDOR": "1",
        "OPENSSL_NO_PKG_CONFIG": "1",
        "PYO3_CROSS": "1",
        "PYO3_CROSS_PYTHON_VERSION": "3.13",
        "PYO3_NO_PYTHON": "1",
        "PYO3_PYTHON": str(b.tools / "usr/bin/python3.13"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def crates(b: Build, environment: dict[str, str]) -> list[dict[str, str]]:
    """The crates that are in the module, from cargo itself: name, version, licence."""
    tree = b.output(
        "cargo", "tree", "--offline", "--edges=normal,no-proc-macro", "--prefix=none", "--format={p}|{l}",
        f"--target={b.work / b.cpu.rust.target}.json", "--features=pyo3/abi3-py311",
        cwd=b.source / "src/rust", env=environment,
    )  # fmt: skip
    found = []
    for line in sorted(set(tree.splitlines())):
        package, licence = line.removesuffix(" (*)").split("|")
        name, version = package.split()[:2]
        if "(/" not in package:  # cryptography's own parts stand in its folder
            version = version.removeprefix("v")
            found.append({"name": name, "version": version, "licence": licence, "purl": f"pkg:cargo/{name}@{version}"})
    return found


def install(b: Build) -> None:
    """The Python part as byte code, and the module."""
    python = b.root / SITE / "cryptography"
    shutil.copytree(b.source / "src/cryptography", python, ignore=shutil.ignore_patterns("*.pyi", "py.typed"))
    b.compile_python(python, f"/{SITE}/cryptography")
    built = b.work / "target" / b.cpu.rust.target / "release/deps/libcryptography_rust.so"
    b.install(built, f"{SITE}/{MODULE}")
