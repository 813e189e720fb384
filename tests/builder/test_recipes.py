"""Recipes: what they must define, and what is said about mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import CygnetError, RecipeError
from builder.recipes.load import closure, load_recipe, load_recipes
from builder.settings import PROJECT

HEAD = "from builder.recipes.package import DebianSource, Package\n"
GOOD = HEAD + (
    'package = Package(source=DebianSource("x"), licence="MIT", summary="s", depends={depends})\n'
    "def build(b):\n    pass\n"
)


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).mkdir()
    (folder / name / "recipe.py").write_text(text)
    return folder


def test_every_recipe_can_be_read() -> None:
    assert {"linux", "musl", "busybox", "python", "cryptography"} <= load_recipes(PROJECT / "packages").keys()


def test_an_unknown_package_is_answered_with_the_nearest() -> None:
    with pytest.raises(CygnetError, match="No package is called 'busibox'; did you mean busybox?"):
        load_recipe(PROJECT / "packages", "busibox")


MISTAKES = [
    ("x = 1\ndef build(b:\n", 2, "not Python:"),
    ("x = 1\ny = 1 / 0\n", 2, "ZeroDivisionError: division by zero"),
    ("package = 3\n", 1, "expected `package = Package(...)` at the top level"),
    (GOOD.replace("def build(b):\n    pass\n", "").format(depends="()"), 1, "expected a function `build(b: Build)"),
    (HEAD + "package = Package(licence='MIT')\n", 2, "TypeError:"),
]


@pytest.mark.parametrize(("text", "line", "expected"), MISTAKES)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, line: int, expected: str) -> None:
    write(tmp_path, "broken", text)
    with pytest.raises(RecipeError) as error:
        load_recipe(tmp_path, "broken")
    assert str(error.value).startswith(f"{tmp_path}/broken/recipe.py:{line}: {expected}")


def test_a_dependency_that_is_not_there_is_named(tmp_path: Path) -> None:
    write(tmp_path, "alpha", GOOD.format(depends='("betta",)'))
    write(tmp_path, "beta", GOOD.format(depends="()"))
    with pytest.raises(
        RecipeError, match=r"alpha/recipe.py:2: depends: No package is called 'betta'; did you mean beta"
    ):
        load_recipes(tmp_path)


def test_packages_that_need_each_other_are_an_error(tmp_path: Path) -> None:
    write(tmp_path, "alpha", GOOD.format(depends='("beta",)'))
    write(tmp_path, "beta", GOOD.format(depends='("alpha",)'))
    with pytest.raises(CygnetError, match="in a circle: alpha -> beta -> alpha"):
        closure(load_recipes(tmp_path), ("alpha",))


def test_a_recipe_knows_the_modules_it_takes_functions_from() -> None:
    """A change in one of them has to change the package's key."""
    names = {file.name for file in load_recipe(PROJECT / "packages", "cryptography").helpers}
    assert {"rust.py", "build.py", "package.py"} <= names
    assert "kernel_config.py" in {file.name for file in load_recipe(PROJECT / "packages", "linux").helpers}


OWN = [
    ("src/own/part.py", True),
    ("recipe.py", True),
    ("tests/test_part.py", False),
    ("src/own/__pycache__/part.pyc", False),
    (".pytest_cache/README.md", False),
]


@pytest.mark.parametrize(("file", "counts"), OWN)
def test_a_package_of_our_own_is_built_again_for_its_source_and_not_for_its_tests(
    tmp_path: Path, file: str, counts: bool
) -> None:
    # Given a package whose source and tests are in its own folder
    recipe = load_recipe(write(tmp_path, "own", GOOD.format(depends="()")), "own")
    before = recipe.content
    # when one file of it changes
    changed = tmp_path / "own" / file
    changed.parent.mkdir(parents=True, exist_ok=True)
    changed.write_text(f"{changed.read_text() if changed.exists() else ''}# changed\n")
    # then its content is another one only if the file can reach the image.
    assert (recipe.content != before) is counts
