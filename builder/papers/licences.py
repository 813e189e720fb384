"""SPDX licence expressions: checked, or an error that names the place."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from license_expression import ExpressionError, Licensing, get_spdx_licensing  # type: ignore[import-untyped]

from builder.errors import RecipeError
from builder.recipes.load import Recipe


def licence(recipe: Recipe) -> str:
    """The recipe's licence in SPDX's own spelling. Raises RecipeError for one that SPDX does not know."""
    file = recipe.folder / "recipe.py"
    return checked(recipe.package.licence, file, line_of(file, "licence"))


def checked(expression: str, file: Path, line: int = 1) -> str:
    """``expression`` in SPDX's own spelling; ``file`` and ``line`` say where it stands."""
    expected = f"expected an SPDX licence expression (https://spdx.org/licenses), not {expression!r}"
    try:
        parsed = _spdx().parse(expression, strict=True)
        unknown = [] if parsed is None else _spdx().unknown_license_keys(parsed)
    except ExpressionError as error:
        raise RecipeError(file, line, f"{expected}: {str(error).splitlines()[0]}") from None
    if parsed is None:
        raise RecipeError(file, line, expected)
    if unknown:
        raise RecipeError(file, line, f"{expected}: SPDX does not know {', '.join(unknown)}")
    return str(parsed.render("{symbol.key}"))


def line_of(file: Path, keyword: str) -> int:
    """The line that gives ``keyword=`` in a recipe; 1 where none does."""
    for number, text in enumerate(file.read_text().splitlines(), 1):
        if re.match(rf"\s*{keyword}\s*=", text):
            return number
    return 1


@cache
def _spdx() -> Licensing:
    return get_spdx_licensing()
