"""Which instructions of an ELF file a CPU does not have.

QEMU's `-cpu 486` lets some newer instructions through (NOPL, cpuid, rdtsc), a real 486 does not; so every
file is disassembled and each instruction looked up in a table of what the CPU knows.  ``<cpu>.toml``
beside this file is that table, with the exceptions and the reason for each.
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from builder.names import unknown

HERE = Path(__file__).parent
FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
SECTION = re.compile(r"^Disassembly of section (.+):$")
INSTRUCTION = re.compile(r"^ *[0-9a-f]+:\t(.+)$")


@dataclass(frozen=True)
class Finding:
    """An instruction that the CPU lacks: where it stands in ``file`` and how often."""

    file: str
    section: str
    symbol: str
    mnemonic: str
    count: int = 1


class Exception_(msgspec.Struct, frozen=True, forbid_unknown_fields=True):  # noqa: N801
    """Instructions that may stand where they stand: patterns must match whole names."""

    why: str
    file: str = ".*"
    section: str = ".*"
    symbol: str = ".*"
    mnemonic: str = ".*"

    def covers(self, finding: Finding) -> bool:
        """Whether this is the reason for ``finding``."""
        where = ((self.file, finding.file), (self.section, finding.section))
        pairs = (*where, (self.symbol, finding.symbol), (self.mnemonic, finding.mnemonic))
        return all(re.fullmatch(pattern, text) for pattern, text in pairs)


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """What a CPU has: instructions, prefixes, registers that it lacks; and the exceptions.

    ``objdump``: options; without ``instructions`` it has all that objdump knows then.
    """

    objdump: tuple[str, ...]
    prefixes: str
    lacks: str
    instructions: dict[str, str] = {}
    forms: dict[str, str] = {}
    exception: tuple[Exception_, ...] = ()

    @cached_property
    def known(self) -> re.Pattern[str]:
        """Matches every mnemonic that the CPU has: base names with the suffixes of their class."""
        classes = (
            f"(?:{'|'.join(map(re.escape, names.split()))}){self.forms[kind]}"
            for kind, names in self.instructions.items()
        )
        return re.compile("|".join(classes) or ".*")

    def lacking(self, instruction: str) -> str:
        """The mnemonic, if the CPU does not have ``instruction``; else nothing."""
        words = re.split("[#@;](?! *<UNDEFINED>)", instruction)[0].split()
        while words and words[0] in self.prefixes.split():
            words = words[1:]
        if not words:
            return ""
        if re.search(self.lacks, " ".join(words)):
            return words[0]
        return "" if self.known.fullmatch(words[0]) else words[0]


def rules(cpu: str) -> Rules:
    """The table for ``cpu`` (board.toml, [cpu] scan)."""
    file = HERE / f"{cpu}.toml"
    if not file.is_file():
        raise unknown("instruction table", cpu, (other.stem for other in HERE.glob("*.toml")))
    return msgspec.convert(tomllib.loads(file.read_text()), Rules)


def scan(file: Path, name: str, table: Rules, objdump: Path) -> list[Finding]:
    """Everything in ``file`` (called ``name``) that the CPU lacks and no exception covers."""
    counted = Counter(_findings(file, name, table, objdump))
    return [
        Finding(f.file, f.section, f.symbol, f.mnemonic, count)
        for f, count in counted.items()
        if not any(exception.covers(f) for exception in table.exception)
    ]


def unused(table: Rules, findings: Iterable[Finding]) -> list[Exception_]:
    """Exceptions that cover none of ``findings``: a white list must not outlive its reason."""
    found = list(findings)
    return [exception for exception in table.exception if not any(exception.covers(finding) for finding in found)]


def _tables(file: Path) -> set[str]:
    """Symbols that stand for data, in whatever section: assembler files put tables among code, marked as objects."""
    with file.open("rb") as content:
        symbols = ELFFile(content).get_section_by_name(".symtab")
        if not isinstance(symbols, SymbolTableSection):
            return set()
        return {one.name for one in symbols.iter_symbols() if one["st_info"]["type"] == "STT_OBJECT"}


def _findings(file: Path, name: str, table: Rules, objdump: Path) -> Iterator[Finding]:
    data = _tables(file)
    command = [str(objdump), "--disassemble", "--no-show-raw-insn", *table.objdump, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as process:
        section = symbol = ""
        for line in process.stdout or ():
            if (found := INSTRUCTION.match(line)) and symbol not in data:
                mnemonic = table.lacking(found[1])
                if mnemonic:
                    yield Finding(name, section, symbol, mnemonic)
            elif found := FUNCTION.match(line):
                symbol = found[1]
            elif found := SECTION.match(line):
                section, symbol = found[1], ""
    if process.returncode:
        raise OSError(f"{objdump} cannot read {file}")
