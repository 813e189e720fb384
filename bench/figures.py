"""The project's figures, as a table: `.venv/bin/python bench/figures.py [--full]`.

Times are wall time of whole commands on this machine, each beside a command of the same run so that they
can be compared: `python -c pass` for small ones.  --full builds everything again into a new cache directory
(downloads are taken from the old one, so they are excluded); it takes as long as a first build.
RAM and time to login are what the last acceptance run measured (images/pc486/acceptance/junit.xml).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from builder.settings import settings  # noqa: E402

BOARD = "pc486"
RUNS = 5
MEGABYTE = 1e6


def seconds(command: list[str], cwd: Path = ROOT, **variables: str) -> float:
    """Wall time of one run; a failing command ends the benchmark."""
    began = time.monotonic()
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **variables})
    return time.monotonic() - began


def median(measure: Callable[[], float]) -> float:
    """The median of RUNS runs."""
    return statistics.median(measure() for _ in range(RUNS))


def nothing_changed() -> float:
    """`./inv build` with everything in the store."""
    return seconds(["./inv", "build"])


def overlay_line() -> float:
    """One line of the overlay changed, in a copy of the project that shares the cache: a new disk image."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".venv", "images", ".git"))
        (copy / ".venv").symlink_to(ROOT / ".venv")
        text = copy / "overlay/usr/lib/cygnet/welcome.j2"
        text.write_text(text.read_text() + f"{time.time()}\n")
        return seconds([str(ROOT / ".venv/bin/python"), "-m", "invoke", "build"], cwd=copy)


def provisioned() -> float:
    """One box of the image that was built, with a site of the examples."""
    site = ROOT / "docs/examples/sites/road-warrior-gateway.toml"
    with tempfile.TemporaryDirectory() as folder:
        words = [f"--image={settings().images / BOARD / 'disk.img'}", f"--site={site}", f"--to={folder}/box.img"]
        return seconds(["./inv", "provision", *words])


def everything() -> float:
    """From an empty cache to the disk image, downloads excluded, then booted and accepted."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "downloads").symlink_to(settings().downloads)
        return seconds(["./inv", "build"], CYGNET_CACHE=folder)


def measured_on_the_box() -> Iterator[tuple[str, str]]:
    """The properties that the acceptance tests recorded, each once."""
    file = settings().images / BOARD / "acceptance/junit.xml"
    for item in ElementTree.parse(file).getroot().iter("property"):  # noqa: S314 - our own file
        if item.get("name") not in ("proves", "ms", "ENV_CONFIG", "TARGETS"):
            yield item.get("name", ""), item.get("value", "")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure and print the project's figures.")
    parser.add_argument("--full", action="store_true", help="also build everything from an empty cache")
    full = parser.parse_args().full
    images = settings().images / BOARD
    bare = median(lambda: seconds([sys.executable, "-c", "pass"]))
    idle, overlay = median(nothing_changed), median(overlay_line)
    table = Table("what", "measured", "how")
    table.add_row("python -c pass", f"{bare:.2f} s", f"median of {RUNS}")
    table.add_row(
        "nothing changed: ./inv build", f"{idle:.2f} s", f"median of {RUNS}; {idle / bare:.0f} x python -c pass"
    )
    table.add_row(
        "one line of the overlay", f"{overlay:.1f} s", f"median of {RUNS}; {overlay / idle:.0f} x nothing changed"
    )
    table.add_row("one box: ./inv provision", f"{median(provisioned):.2f} s", f"median of {RUNS}")
    kernel, slot = ((images / name).stat().st_size / MEGABYTE for name in ("kernel", "rootfs.squashfs"))
    table.add_row(
        "kernel + root file system", f"{slot:.2f} MB", f"size of the slot; {kernel:.2f} MB of it is the kernel"
    )
    for name, value in measured_on_the_box():
        table.add_row(name, value, "last acceptance run")
    if full:
        whole = everything()
        table.add_row(
            "empty cache to disk image", f"{whole / 60:.1f} min", f"once; {whole / overlay:.0f} x one overlay line"
        )
    Console().print(table)


if __name__ == "__main__":
    main()
