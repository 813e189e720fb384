"""Wrapper programs around ``zig cc``: the compiler of everything in user space.

One pip package holds a C compiler, musl and compiler-rt for all our CPUs.  What it cannot do is done here:
assembler files of CPUs that ask for it go to GNU as (zig's assembler ignores -mcpu for them), what its run time
lacks stands in an archive of ours (``atomics/``), and zig's caches stand where the builder says.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shlex
from collections.abc import Mapping
from pathlib import Path

from builder.boards import Cpu
from builder.errors import CygnetError
from builder.recipes.build import Build
from builder.steps.step import hash_files

ATOMICS = Path(__file__).with_name("atomics")

CC = """\
#!/bin/sh
# zig {driver} for {cpu}
set -eu
{assembling}exec {zig} {driver} {flags} "$@"
"""

# Preprocess with zig, assemble with GNU as; -MD and friends would name the wrong file and are dropped.
ASSEMBLING = """\
compile= source= output= skip=
for word; do
    if [ -n "$skip" ]; then [ "$skip" = -o ] && output=$word; skip=; continue; fi
    case $word in
        -c) compile=1 ;;
        -o|-MF|-MT|-MQ) skip=$word ;;
        *.s|*.S) source=$word ;;
    esac
done
if [ -n "$compile" ] && [ -n "$source" ]; then
    for word; do
        shift
        if [ -n "$skip" ]; then skip=; continue; fi
        case $word in
            -c|-Wa,*|-M|-MD|-MMD|-MP|"$source") ;;
            -o|-MF|-MT|-MQ) skip=$word ;;
            *) set -- "$@" "$word" ;;
        esac
    done
    base=${{source##*/}}
    object=${{output:-${{base%.*}}.o}}
    case $source in
        *.s) exec {as_} --noexecstack -o "$object" "$source" ;;
    esac
    {zig} {driver} {flags} "$@" -E -x assembler-with-cpp -o "$object.s" "$source"
    {as_} --noexecstack -o "$object" "$object.s"
    rm -f "$object.s"
    exit
fi
"""


def zig_program() -> Path:
    """The zig binary of the pinned pip package."""
    spec = importlib.util.find_spec("ziglang")
    if spec is None or not spec.submodule_search_locations:
        raise CygnetError("the Python package ziglang is not installed; run ./inv, which makes the environment")
    return Path(spec.submodule_search_locations[0]) / "zig"


def identity(cpu: Cpu) -> str:
    """What of this compiler goes into a content key: zig's version, this file, the atomic operations for the CPU."""
    return f"zig {importlib.metadata.version('ziglang')} {hash_files(Path(__file__), *_atomics(cpu))[:16]}"


def _atomics(cpu: Cpu) -> list[Path]:
    """The sources for all CPUs and for those of its family."""
    family = cpu.zig_target.partition("-")[0]
    return [source for folder in ("all", family) for source in sorted((ATOMICS / folder).glob("*.c"))]


def write_wrappers(cpu: Cpu, binutils: Path, sysroot: Path, hidden: Mapping[Path, str], to: Path) -> None:
    """Write ``<gnu>-cc``, ``-c++``, ``-ar``, ``-ranlib`` for ``cpu`` into ``to``.

    ``binutils`` is the folder with GNU as; it is used where ``cpu.assembler`` is given.  Every path of
    this machine that a compiler needs stands in the wrappers, so that none stands on a command line that
    a package keeps; ``hidden`` maps directories to the names that go into the products instead.
    """
    to.mkdir(parents=True, exist_ok=True)
    zig = shlex.quote(str(zig_program()))
    flags = ["-target", cpu.zig_target, f"-mcpu={cpu.zig_cpu}", "-dynamic", "-fno-sanitize=all"]
    flags += ["-isystem", f"{sysroot}/usr/include", f"-L{sysroot}/usr/lib", f"-L{to}"]
    flags += [f"-ffile-prefix-map={path}={name}" for path, name in hidden.items()]
    for name, driver in (("cc", "cc"), ("c++", "c++")):
        words = {"driver": driver, "zig": zig, "flags": shlex.join(flags)}
        assembling = ""
        if cpu.assembler:
            assembling = ASSEMBLING.format(as_=shlex.join([str(binutils / "as"), *cpu.assembler]), **words)
        _script(to / f"{cpu.gnu}-{name}", CC.format(cpu=cpu.name, assembling=assembling, **words))
    for name in ("ar", "ranlib"):
        _script(to / f"{cpu.gnu}-{name}", f'#!/bin/sh\nexec {zig} {name} "$@"\n')


def make_atomics(b: Build, to: Path) -> None:
    """Compile ``libatomics.a`` into ``to``, where the wrappers look for libraries."""
    sources = _atomics(b.cpu)
    objects = [to / f"{source.stem}.o" for source in sources]
    for source, compiled in zip(sources, objects, strict=True):
        b.run(b.cc, "-c", "-fPIC", *b.cflags, source, "-o", compiled)
    b.run(b.ar, "rcs", to / "libatomics.a", *objects)


def _script(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)


def caches(cache: Path, work: Path) -> dict[str, str]:
    """Where zig keeps what it made: its own libc for all steps, a step's objects in the step's scratch."""
    return {"ZIG_GLOBAL_CACHE_DIR": str(cache / "zig"), "ZIG_LOCAL_CACHE_DIR": str(work / "zig")}
