"""Where else modules come from: what tests of boxes and of peers have in common, and Cygnet's own tables."""

from __future__ import annotations

import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
for folder in ("tests/acceptance", "packages/cygnet/src"):
    if str(PROJECT / folder) not in sys.path:
        sys.path.append(str(PROJECT / folder))
