"""python: CPython 3.13 with its C modules built in, the standard library as byte code only.

Every C module is linked into the one program: on this box dlopen is for cryptography alone.  Hashes
are CPython's own (HACL); ssl, ctypes, curses, databases and Asian codecs are left out, and so is what
nobody runs on a router: tests, IDLE, Tk, pip, pydoc.
"""

import shutil
from pathlib import Path

from builder.recipes.build import Build
from builder.recipes.package import DebianSource, Package

package = Package(
    source=DebianSource("python3.13"),
    licence="PSF-2.0 AND 0BSD AND MIT AND Apache-2.0",
    summary="CPython, for the keying daemon",
    licence_files=("LICENSE",),
    depends=("musl", "zlib"),
    tools=("python",),
)

WITHOUT_MODULES = """
    _tkinter _curses _curses_panel _sqlite3 _dbm _gdbm readline _lzma _bz2 _uuid nis ossaudiodev _ctypes _ctypes_test
    _testbuffer _testcapi _testclinic _testclinic_limited _testexternalinspection _testimportmultiple _testinternalcapi
    _testlimitedcapi _testmultiphase _testsinglephase _xxtestfuzz xxlimited xxlimited_35 xxsubtype
    _interpreters _interpchannels _interpqueues _lsprof audioop _decimal _zoneinfo _hashlib _ssl
    _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _multibytecodec
""".split()
WITHOUT_LIBRARY = """
    test idlelib tkinter turtledemo turtle.py ensurepip pydoc_data pydoc.py sqlite3 curses dbm venv wsgiref xmlrpc
    _pyrepl __phello__ __hello__.py unittest doctest.py pdb.py profile.py cProfile.py pstats.py mailbox.py smtplib.py
    poplib.py imaplib.py ftplib.py webbrowser.py this.py antigravity.py ctypes site-packages
""".split()
LIBRARY = "usr/lib/python3.13"


def build(b: Build) -> None:
    configure(b)
    b.make("python", f"LDFLAGS={' '.join(b.ldflags)}", cwd=b.work)
    b.install(b.work / "python", "usr/bin/python3.13")
    b.link("python3.13", "usr/bin/python3")
    install_library(b)
    for header in (b.source / "Include", b.work / "pyconfig.h"):
        _copy(header, b.dev / "usr/include/python3.13")


def configure(b: Build) -> None:
    """Answers that configure cannot find when it cannot run what it compiles, and what to leave out."""
    answers = {
        "ac_cv_file__dev_ptmx": "yes",
        "ac_cv_file__dev_ptc": "no",
        "ac_cv_buggy_getaddrinfo": "no",
        "ac_cv_working_openssl_hashlib": "no",
        **{f"py_cv_module_{name}": "n/a" for name in WITHOUT_MODULES},
    }
    flags = [*b.cflags, "-Wno-date-time"]
    b.run(
        b.source / "configure", f"--host={b.cpu.gnu}", "--build=x86_64-pc-linux-gnu", "--prefix=/usr",
        f"--with-build-python={b.tools}/usr/bin/python3.13", "--enable-ipv6", "--disable-test-modules",
        "--without-ensurepip", "--without-doc-strings", "--without-static-libpython", "--without-readline",
        "MODULE_BUILDTYPE=static",
        cwd=b.work,
        env={
            **answers, "PKG_CONFIG": "false", "READELF": f"{b.tools}/usr/bin/readelf",
            # As configure has it, without -g: nobody reads DWARF here.
            "OPT": "-DNDEBUG -fwrapv",
            "CC": b.cc, "CXX": b.cxx, "AR": b.ar, "RANLIB": b.ranlib,
            "CFLAGS": " ".join(flags), "ZLIB_CFLAGS": " ", "ZLIB_LIBS": "-lz",
        },
    )  # fmt: skip


def install_library(b: Build) -> None:
    """The standard library, compiled with the asserts and docstrings of -OO left out."""
    library = b.root / LIBRARY
    shutil.copytree(b.source / "Lib", library, ignore=shutil.ignore_patterns("__pycache__", "test", "tests"))
    for name in WITHOUT_LIBRARY:
        _remove(library / name)
    for file in (b.work / "build").glob("lib.*/_sysconfigdata*.py"):
        shutil.copyfile(file, library / file.name)
    (library / "lib-dynload").mkdir()
    b.compile_python(library, f"/{LIBRARY}")


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _copy(place: Path, to: Path) -> None:
    if place.is_dir():
        shutil.copytree(place, to, dirs_exist_ok=True)
    else:
        shutil.copyfile(place, to / place.name)
