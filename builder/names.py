"""Turning a mistyped name into a useful sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from builder.errors import CygnetError


def unknown(kind: str, name: str, known: Iterable[str]) -> CygnetError:
    """The error for ``name`` that is none of ``known``, with the nearest one if any is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(names) or 'none'}."
    return CygnetError(f"No {kind} is called {name!r}; {hint}")
