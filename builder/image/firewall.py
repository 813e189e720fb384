"""The firewall's rules, rendered when an image is made: a box loads them before its network, long before Python runs.

The program is a package of ours, and is run from its source with this machine's Python; what rules say is its affair.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from builder.run import Runner

DESCRIPTION, NETWORK = Path("etc/cygnet/firewall"), Path("etc/cygnet/network")
PACKAGE, SOURCE, PROGRAM = "cygnet", "src", "cygnet.firewall"
RULES = "etc/cygnet/firewall.rules"


def render(package: Path, overlays: Sequence[Path], root: Path, work: Path, runner: Runner) -> list[str]:
    """Render the description into ``root``; the paths laid, none without a description.

    ``overlays``: where description and network are looked for, the last that has one wins. Raises StepFailed, whose
    last line says by file and line what is wrong in them.
    """
    description, network = (_last(overlays, file) for file in (DESCRIPTION, NETWORK))
    if not (description and network):
        return []
    folder = root / RULES
    folder.mkdir(parents=True)
    words = [sys.executable, "-P", "-B", "-m", PROGRAM, str(description), str(network), str(folder)]
    runner.run(words, cwd=work, env={"PYTHONPATH": str(package / SOURCE)})
    for file in folder.iterdir():
        file.chmod(0o644)
    return sorted(f"{RULES}/{file.name}" for file in folder.iterdir())


def _last(overlays: Sequence[Path], file: Path) -> Path | None:
    return next((overlay / file for overlay in reversed(overlays) if (overlay / file).is_file()), None)
