"""Finding and reading recipes: ``packages/<name>/recipe.py``.

A recipe is Python, so it is imported; what it must define is checked here and every
mistake ends in one sentence with file and line.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builder.errors import CygnetError, RecipeError
from builder.names import unknown
from builder.recipes.build import Build
from builder.recipes.package import Package
from builder.steps.step import hash_folder

# How Buildroot makes the same: builder/buildroot reads it.
BUILDROOT = "buildroot.config"
NOT_OURS = ("tests", BUILDROOT)
BUILDER = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Recipe:
    """A package's description, its build function and the folder both come from.

    ``helpers`` are the builder's modules that the recipe takes functions from.
    """

    name: str
    folder: Path
    package: Package
    build: Callable[[Build], None]
    helpers: tuple[Path, ...] = ()

    @property
    def patches(self) -> list[Path]:
        """Our own patches, in the order in which they are applied."""
        return sorted((self.folder / "patches").glob("*.patch"))

    @property
    def content(self) -> str:
        """The hash of what in the folder can reach an image: not tests, what their runs leave, Buildroot's words."""
        return hash_folder(self.folder, lambda path: path.parts[0] in NOT_OURS or path.parts[0].startswith("."))


def recipe_names(packages: Path) -> list[str]:
    """All packages below ``packages``, sorted."""
    return sorted(file.parent.name for file in packages.glob("*/recipe.py"))


def load_recipe(packages: Path, name: str) -> Recipe:
    """The recipe of package ``name``."""
    folder = packages / name
    file = folder / "recipe.py"
    if not file.is_file():
        raise unknown("package", name, recipe_names(packages))
    module = _import(file, name)
    package, build = getattr(module, "package", None), getattr(module, "build", None)
    if not isinstance(package, Package):
        raise RecipeError(file, _line_of(file, "package"), "expected `package = Package(...)` at the top level")
    if not callable(build):
        raise RecipeError(file, _line_of(file, "build"), "expected a function `build(b: Build) -> None`")
    return Recipe(name, folder, package, build, _helpers(module))


def load_recipes(packages: Path) -> dict[str, Recipe]:
    """Every recipe by name; a dependency on an unknown package is an error here."""
    recipes = {name: load_recipe(packages, name) for name in recipe_names(packages)}
    for recipe in recipes.values():
        for other in recipe.package.depends:
            if other not in recipes:
                reason = str(unknown("package", other, recipes))
                file = recipe.folder / "recipe.py"
                raise RecipeError(file, _line_of(file, "package"), f"depends: {reason}")
    return recipes


def closure(recipes: dict[str, Recipe], names: tuple[str, ...]) -> list[str]:
    """``names`` and all that they depend on, sorted. A circle is an error."""
    found: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise CygnetError(f"packages depend on each other in a circle: {' -> '.join([*path, name])}")
        if name not in found:
            for other in recipes[name].package.depends:
                visit(other, (*path, name))
            found.add(name)

    for name in names:
        visit(name, ())
    return sorted(found)


def _import(file: Path, name: str) -> object:
    module_name = f"cygnet_recipe_{name.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        raise RecipeError(file, 1, "cannot be read as Python")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise RecipeError(file, error.lineno or 1, f"not Python: {error.msg}") from None
    except Exception as error:
        raise RecipeError(file, _failing_line(file), f"{type(error).__name__}: {error}") from None
    return module


def _helpers(module: object) -> tuple[Path, ...]:
    names = {getattr(value, "__module__", None) for value in vars(module).values()}
    files = (getattr(sys.modules.get(str(name)), "__file__", None) for name in names)
    ours = {Path(file).resolve() for file in files if file and BUILDER in Path(file).resolve().parents}
    return tuple(sorted(ours))


def _failing_line(file: Path) -> int:
    frames = traceback.extract_tb(sys.exc_info()[2])
    return next((frame.lineno or 1 for frame in reversed(frames) if frame.filename == str(file)), 1)


def _line_of(file: Path, name: str) -> int:
    """Where ``name`` is assigned or defined; 1 where it is not."""
    for node in ast.parse(file.read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else [node]
        names = [getattr(target, "id", getattr(target, "name", "")) for target in targets]
        if name in names:
            return node.lineno
    return 1
