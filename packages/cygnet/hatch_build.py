"""What pip does beside packing the modules: the manual pages are made and put where man(1) looks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualPages(BuildHookInterface[Any]):
    """Adds share/man/man8 to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Called by hatchling before it packs."""
        sys.path.insert(0, self.root)
        from manual import write

        pages = write(Path(self.directory) / "man")
        build_data["shared_data"] = {str(page): f"share/man/man8/{page.name}" for page in pages}
