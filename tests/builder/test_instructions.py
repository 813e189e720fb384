"""The tables of what a CPU executes: what they let through, and what they do not."""

from __future__ import annotations

import pytest

from builder.checks.instructions import Finding, rules


class TestI486:
    """What the table of the 486 lets through, and what it does not."""

    @pytest.mark.parametrize(
        "instruction",
        [
            "cmovne %eax,%ebx", "cmpxchg8b (%esi)", "nopl   0x0(%eax,%eax,1)", "nopw   0x0(%eax)", "rdtsc", "cpuid",
            "movq   %mm0,(%eax)", "movss  (%eax),%xmm0", "fcomi  %st(1),%st", "fucomip %st(1),%st", "endbr32", "sysenter",
            "lock cmpxchg8b (%edi)", "mfence", "prefetchnta (%eax)", "(bad)", "fisttpll (%esp)", "popcnt %eax,%eax",
        ],
    )  # fmt: skip
    def test_newer_instructions_are_found(self, instruction: str) -> None:
        assert rules("i486").lacking(instruction)

    @pytest.mark.parametrize(
        "instruction",
        [
            "nop", "mov    %eax,(%edx)", "movl   $0x0,0x4(%esp)", "lock cmpxchg %ecx,(%edx)", "lock xadd %eax,(%edx)",
            "bswap  %eax", "rep stos %al,%es:(%edi)", "fildll (%esp)", "fnstsw %ax", "jne    12 <main+0x4>", "xchg   %ax,%ax",
            "repz cmpsb %es:(%edi),%ds:(%esi)", "data16 nop", "lea    0x0(%esi,%eiz,1),%esi", "setne  %al", "shld $1,%eax,%edx",
        ],
    )  # fmt: skip
    def test_a_486_has_these(self, instruction: str) -> None:
        assert rules("i486").lacking(instruction) == ""

    def test_an_exception_covers_what_it_names_and_nothing_else(self) -> None:
        table = rules("i486")
        cpuid = Finding("boot/vmlinux", ".text", "cpu_detect", "cpuid")
        elsewhere = Finding("bin/busybox", ".text", "cpu_detect", "cpuid")
        assert any(exception.covers(cpuid) for exception in table.exception)
        assert not any(exception.covers(elsewhere) for exception in table.exception)


FOREIGN = [
    ("armv7", "vadd.i32\tq0, q1, q2"), ("armv7", "vld1.8\t{d0}, [r0]"), ("armv7", "vadd.f64\td16, d17, d18"),
    ("armv7", "vadd.f32\td0, d1, d2"), ("armv7", "sdiv\tr0, r1, r2"), ("armv7", "vfma.f32\ts0, s1, s2"),
    ("armv7", "lda\tr0, [r1]"), ("armv7", "@ <UNDEFINED> instruction: 0xe1010102"), ("armv7", "vcvt.s32.f32\td0, d1"),
    ("armv5", "ldrex\tr0, [r1]"), ("armv5", "movw\tr0, #1234\t@ 0x4d2"), ("armv5", "rev\tr0, r1"),
    ("armv5", "vadd.f64\td0, d1, d2"), ("armv5", "vldr\td3, [r0]"), ("armv5", "dmb\tsy"), ("armv5", "uxtb\tr0, r1"),
    ("mips32r2", "add.s\t$f0,$f1,$f2"), ("mips32r2", "lwc1\t$f0,0(v0)"), ("mips32r2", "mtc1\tv0,$f0"),
    ("mips32r2", ".word\t0x641099"), ("mips32r2", "cfc1\tv0,c1_fcsr"), ("mips32r2", "addq.ph\tv0,v1,a0"),
    ("mips32r2", "addv.b\t$w0,$w1,$w2"), ("mips32r2", "bc1t\t0x30"), ("mips32r2", "movf\tv0,v1,$fcc0"),
]  # fmt: skip
OWN = [
    ("armv7", "ldrex\tr0, [r1]"), ("armv7", "vadd.f64\td0, d1, d2"), ("armv7", "vcvt.f64.f32\td0, s1"), ("armv7", "movwne\tr0, #1"),
    ("armv7", "addseq\tr0, r1, #4"), ("armv7", "vmov.f32\ts0, #112\t@ 0x70"), ("armv7", ".word\t0xdeadbeef"), ("armv7", "vpush\t{d8}"),
    ("armv5", "add\tr0, r1, #4"), ("armv5", "ldrd\tr2, [r4]"), ("armv5", "blx\tr3"), ("armv5", "clz\tr0, r1"), ("armv5", "ldmibne\tr0, {r1}"),
    ("armv5", "smulbb\tr0, r1, r2"), ("armv5", "mcr\t15, 0, r0, cr7, cr10, {5}"), ("armv5", "popne\t{r4, pc}"),
    ("mips32r2", "ext\tv0,v1,0x4,0x5"), ("mips32r2", "seb\tv0,v1"), ("mips32r2", "ror\tv0,v1,0x4"), ("mips32r2", "rdhwr\tv1,$29"),
    ("mips32r2", "ll\tv0,0(v1)"), ("mips32r2", "movz\tv0,v1,a0"), ("mips32r2", "mul\tv0,v1,a0"), ("mips32r2", "sync"),
]  # fmt: skip


@pytest.mark.parametrize(("cpu", "instruction"), FOREIGN)
def test_an_instruction_of_another_cpu_is_found(cpu: str, instruction: str) -> None:
    assert rules(cpu).lacking(instruction)


@pytest.mark.parametrize(("cpu", "instruction"), OWN)
def test_an_instruction_of_the_cpu_itself_is_let_through(cpu: str, instruction: str) -> None:
    assert rules(cpu).lacking(instruction) == ""
