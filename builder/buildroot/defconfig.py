"""A board's defconfig: what Buildroot is asked for, in its own symbols.

Each package's folder says in buildroot.config how Buildroot makes it; words.toml translates what board.toml says.
A board's own buildroot.config comes last: what it names is taken out of the rest.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from builder.boards import Board
from builder.buildroot.fill import fill, fill_file
from builder.buildroot.tree import COMMON, TREE, File, board_folder
from builder.errors import CygnetError, RecipeError
from builder.image.loaders import grub
from builder.plan import Project
from builder.recipes.load import BUILDROOT, Recipe
from builder.sources.lock import Locked
from builder.sources.mirror import mirrors

SYMBOL = re.compile(r"(?:# )?(BR2_\w+)(?:=| is not set$)")


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """words.toml."""

    target: dict[str, list[str]]
    cpu: dict[str, list[str]]
    rust: dict[str, list[str]]
    filter: dict[str, list[str]]
    image: dict[str, str]
    loader: dict[str, list[str]]
    medium: dict[str, list[str]]


WORDS = msgspec.convert(tomllib.loads(Path(__file__).with_name("words.toml").read_text()), Words)


@dataclass(frozen=True)
class Package:
    """A recipe, and the source that is locked for it (none of a package of ours)."""

    recipe: Recipe
    locked: Locked | None = None

    @property
    def words(self) -> Path:
        """How Buildroot makes it."""
        return self.recipe.folder / BUILDROOT


def package(project: Project, name: str) -> Package:
    """A package of the project."""
    recipe = project.recipes[name]
    source = recipe.package.source
    return Package(recipe, project.sources.locked(source.name, source.skip) if source else None)


def needs_prebuilt(board: Board) -> bool:
    """Whether Buildroot's Rust does not know the board's CPU, so that cryptography comes from Cygnet's store."""
    return board.cpu.zig_cpu in WORDS.rust["missing"]


def cpu_lines(board: Board) -> list[str]:
    """The symbols of architecture, ABI and CPU; none where words.toml has none and the board brings its own."""
    cpu = board.cpu
    if cpu.zig_target in WORDS.target and cpu.zig_cpu in WORDS.cpu:
        return [*WORDS.target[cpu.zig_target], *WORDS.cpu[cpu.zig_cpu]]
    if (board.folder / BUILDROOT).is_file():
        return []
    raise CygnetError(
        f"{board.name}: no word of Buildroot's is known for its CPU ({cpu.zig_target}, {cpu.zig_cpu}): add one to "
        f"builder/buildroot/words.toml, or write {board.folder / BUILDROOT}"
    )


def defconfig(board: Board, packages: Mapping[str, Package]) -> File:
    """The board's defconfig."""
    own = _lines(fill_file(board.folder / BUILDROOT)) if (board.folder / BUILDROOT).is_file() else []
    text = fill(
        "defconfig",
        f"board/{board.name} and packages/*/{BUILDROOT}",
        board=board,
        cpu=cpu_lines(board),
        prebuilt=needs_prebuilt(board),
        packages={
            name: lines for name, one in packages.items() if (lines := package_lines(one, needs_prebuilt(board)))
        },
        kernel=_kernel(board),
        image=_image(board),
        own=own,
        folder=f"{TREE}/{board_folder(board.name)}",
    ).content.decode()
    taken = set(symbols(own))
    head, mark, rest = text.partition(f"\n# board/{board.name}/{BUILDROOT}\n")
    kept = [line for line in head.splitlines() if symbol(line) not in taken]
    return File(("\n".join(kept) + "\n" + mark + rest).encode())


def package_lines(package: Package, prebuilt: bool) -> list[str]:
    """What Buildroot is asked for a package's sake; ``prebuilt``: cryptography comes from Cygnet's store."""
    return _lines(_filled(package, prebuilt, lambda name: f"{TREE}/{_place(package, name)}", lambda _, to: to))


def package_files(package: Package) -> dict[str, File]:
    """The files of a package's folder that its lines speak of."""
    found: dict[str, File] = {}

    def take(name: str, path: str = "") -> str:
        found[path or _place(package, name)] = File(_named(package, name).read_bytes())
        return name

    _filled(package, False, take, lambda name, to: take(name, f"{COMMON}/overlay/{to}"))
    return found


def symbols(lines: Iterable[str]) -> list[str]:
    """The symbols that lines of a configuration set or unset."""
    return [found for line in lines if (found := symbol(line))]


def symbol(line: str) -> str:
    """The symbol that a line sets or unsets, or nothing."""
    found = SYMBOL.match(line)
    return found[1] if found else ""


def _filled(package: Package, prebuilt: bool, place: Callable[[str], str], lay: Callable[[str, str], str]) -> str:
    if not package.words.is_file():
        raise CygnetError(
            f"{package.recipe.folder}: nothing says how Buildroot makes {package.recipe.name}; "
            f"write {BUILDROOT} there: docs/buildroot.md"
        )
    return fill_file(package.words, place=place, lay=lay, prebuilt=prebuilt, **_source(package))


def _source(package: Package) -> dict[str, str]:
    """``source``: the address of the upstream tarball; ``series``: its version's first two parts, as in 6_12."""
    if package.locked is None:
        return {"source": "", "series": ""}
    tarball = next((file for file in package.locked.files if ".orig." in file.name), package.locked.files[0])
    base = mirrors().get(tarball.repository, tarball.repository)
    return {"source": f"{base}/{tarball.path}", "series": "_".join(package.locked.upstream.split(".")[:2])}


def _place(package: Package, name: str) -> str:
    return f"{COMMON}/{package.recipe.name}/{name}"


def _named(package: Package, name: str) -> Path:
    file = package.recipe.folder / name
    if not file.is_file():
        raise RecipeError(package.words, 1, f"there is no {file}")
    return file


def _kernel(board: Board) -> list[str]:
    image, tree = board.kernel.image, board.kernel.device_tree
    lines = [f"BR2_LINUX_KERNEL_{WORDS.image[image]}=y"] if image in WORDS.image else [
        "BR2_LINUX_KERNEL_IMAGE_TARGET_CUSTOM=y", f'BR2_LINUX_KERNEL_IMAGE_TARGET_NAME="{Path(image).name}"',
    ]  # fmt: skip
    if tree:
        lines.append("BR2_LINUX_KERNEL_DTS_SUPPORT=y")
    if board.kernel.has_own_tree:
        lines.append(f'BR2_LINUX_KERNEL_CUSTOM_DTS_DIR="{TREE}/{board_folder(board.name)}/dts"')
    elif tree:
        lines.append(f'BR2_LINUX_KERNEL_INTREE_DTS_NAME="{tree.partition("/dts/")[2].removesuffix(".dtb")}"')
    return lines


def _image(board: Board) -> list[str]:
    lines = [
        *WORDS.filter.get(board.cpu.filter, []),
        *WORDS.medium["flash" if board.flash else "disk"],
        *WORDS.loader[board.loader],
    ]
    if board.loader == "grub-pc":
        lines += [
            f'BR2_TARGET_GRUB2_BUILTIN_MODULES_PC="{" ".join(grub.MODULES)}"',
            f'BR2_TARGET_GRUB2_BUILTIN_CONFIG_PC="{TREE}/{board_folder(board.name)}/early.cfg"',
        ]
    return lines


def _lines(text: str) -> list[str]:
    """The lines that set or unset something; comments are for who reads the folder."""
    return [line for line in text.splitlines() if symbol(line)]
