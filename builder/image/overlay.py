"""The overlay: static files and Jinja2 templates that go into the root file system beside packages.

``overlay/`` serves all boards, ``board/<name>/overlay/`` adds to it.  ``manifest.toml`` at the top
says what a tree of files cannot: empty directories, links, modes.
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import jinja2
import msgspec

from builder.errors import CygnetError, RecipeError

MANIFEST = "manifest.toml"
TEMPLATE = ".j2"


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Paths without a leading slash: directories -> mode, links -> target, modes -> mode (octal strings)."""

    directories: dict[str, str] = {}
    links: dict[str, str] = {}
    modes: dict[str, str] = {}


def lay(overlay: Path, root: Path, variables: Mapping[str, object]) -> list[str]:
    """Copy and render ``overlay`` into ``root``; the paths laid, relative to ``root``.

    Raises RecipeError for a template or manifest that cannot be used.
    """
    manifest = read_manifest(overlay / MANIFEST)
    laid = lay_files(overlay, root, variables)
    for path, mode in manifest.directories.items():
        (root / path).mkdir(parents=True, exist_ok=True)
        (root / path).chmod(int(mode, 8))
    for path, target in manifest.links.items():
        _link(root / path, target)
    for path, mode in manifest.modes.items():
        if not (root / path).exists():
            raise CygnetError(f"{overlay / MANIFEST}: [modes] names {path}, which nothing puts there")
        (root / path).chmod(int(mode, 8))
    return [*laid, *manifest.links]


def lay_files(overlay: Path, root: Path, variables: Mapping[str, object]) -> list[str]:
    """Copy and render the files alone, without what the manifest says; the paths laid."""
    return [_lay_file(file, overlay, root, variables) for file in _files(overlay)]


def read_manifest(file: Path) -> Manifest:
    """The manifest in ``file``; an absent one is empty."""
    if not file.exists():
        return Manifest()
    try:
        return msgspec.convert(tomllib.loads(file.read_text()), Manifest)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise RecipeError(file, 1, str(error)) from None


def _files(overlay: Path) -> Iterator[Path]:
    for file in sorted(overlay.rglob("*")):
        if (file.is_file() or file.is_symlink()) and file != overlay / MANIFEST:
            yield file


def _lay_file(file: Path, overlay: Path, root: Path, variables: Mapping[str, object]) -> str:
    path = str(file.relative_to(overlay)).removesuffix(TEMPLATE)
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    if file.is_symlink():
        _link(place, str(file.readlink()))
        return path
    if file.suffix == TEMPLATE:
        place.write_text(_render(file, variables))
    else:
        shutil.copyfile(file, place)
    place.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
    return path


def _link(place: Path, target: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(target)


def _render(file: Path, variables: Mapping[str, object]) -> str:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)  # noqa: S701 - not HTML
    try:
        return environment.from_string(file.read_text()).render(variables)
    except jinja2.TemplateSyntaxError as error:
        raise RecipeError(file, error.lineno, error.message or "not a template") from None
    except jinja2.UndefinedError as error:
        raise RecipeError(file, 1, f"{error.message}; there are: {', '.join(sorted(variables))}") from None
