"""What the benches of the keying daemon share: each size is a process of its own, and is shown as times the smallest.

A cost that does not grow with what there is is at 1.00 x for every size.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

# How it is measured, what the number is, and the sizes.
Measure = tuple[Callable[[int], str], str, Sequence[int]]


def show(measures: Mapping[str, Measure]) -> None:
    """`python bench/NAME.py` for all, `python bench/NAME.py MEASURE SIZE` for one."""
    if len(sys.argv) == 3:
        print(measures[sys.argv[1]][0](int(sys.argv[2])))
        return
    for name, (_, unit, sizes) in measures.items():
        first = 0.0
        for size in sizes:
            words = [sys.executable, sys.argv[0], name, str(size)]
            found = float(subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout)
            first = first or found
            print(f"{name}, {size}: {found} {unit}, {found / first:.2f} x the first", flush=True)
