"""The exported tree: complete, the same bytes again, and whatever changes in board, package or overlay is in it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from export_project import project_of

from builder.boards import board_names
from builder.buildroot.defconfig import symbols
from builder.buildroot.export import export
from builder.buildroot.tree import defconfig_name
from builder.errors import CygnetError
from builder.plan import Project
from builder.settings import PROJECT
from builder.steps.step import walk

BOARDS = board_names(PROJECT / "board")


def contents(tree: Path) -> dict[str, tuple[bytes, int]]:
    """Content and mode of every file."""
    files = [file for file in tree.rglob("*") if file.is_file() or file.is_symlink()]
    return {
        str(file.relative_to(tree)): (str(file.readlink()).encode(), 0)
        if file.is_symlink()
        else (file.read_bytes(), file.stat().st_mode)
        for file in files
    }


def test_without_a_board_every_board_is_in_the_tree_and_every_file_says_where_it_is_from(
    project: Project, tmp_path: Path
) -> None:
    tree = export(project, tmp_path / "tree")
    assert sorted(file.name for file in (tree / "configs").iterdir()) == sorted(map(defconfig_name, BOARDS))
    assert sorted(folder.name for folder in (tree / "board/cygnet").iterdir()) == sorted([*BOARDS, "common"])
    assert (tree / "external.desc").read_text().startswith("name: CYGNET\n")
    for name in ("Config.in", "external.mk", *(f"configs/{defconfig_name(board)}" for board in BOARDS)):
        assert (tree / name).read_text().startswith("# Made by ./inv buildroot export (Cygnet "), name
    for made in [*tree.glob("package/*/*.mk"), *tree.glob("board/cygnet/*/post-*.sh")]:
        assert "\n# Made by ./inv buildroot export (Cygnet " in made.read_text(), made
    for package in ("cygnet", "python-cygnet-site", "cygnet-cryptography"):
        assert f"package/{package}/Config.in" in (tree / "Config.in").read_text()
        assert (tree / "package" / package / f"{package}.mk").is_file()


def test_two_exports_are_the_same_bytes_wherever_and_whenever(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = export(project, tmp_path / "one")
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    monkeypatch.chdir(tmp_path)
    second = export(project_of(PROJECT, tmp_path / "other cache"), Path("elsewhere/two"))
    monkeypatch.undo()
    time.tzset()
    assert contents(first) == contents(second)
    for name, (content, _) in contents(first).items():
        assert str(PROJECT).encode() not in content, f"{name} holds a path of this machine"


# Where a line is changed; the step of Cygnet's own engine that is made again; what changes in the tree, and how.
CHANGES = {
    "kernel fragment": (
        "board/pc486/kernel.config", "CONFIG_M486=y", "CONFIG_M586=y",
        "linux:pc486", "board/cygnet/pc486/linux.config", "CONFIG_M586=y",
    ),
    "kernel of all boards": (
        "packages/linux/common.config", "CONFIG_SWAP=n", "CONFIG_SWAP=y",
        "linux:pc486", "board/cygnet/pc486/linux.config", "CONFIG_SWAP=y",
    ),
    "console": (
        "board/pc486/board.toml", "speed = 115200", "speed = 38400",
        "rootfs:pc486", "board/cygnet/pc486/overlay/etc/inittab", "38400",
    ),
    "console of the boot loader": (
        "board/pc486/board.toml", "speed = 115200", "speed = 38400",
        "image:pc486", "board/cygnet/pc486/early.cfg", "--speed=38400",
    ),
    "slots": (
        "board/pc486/board.toml", "slot-mib = 16", "slot-mib = 24",
        "image:pc486", "board/cygnet/pc486/genimage.cfg", f"size = {24 << 20}",
    ),
    "kernel arguments": (
        "board/pc486/board.toml", "ata_generic.all_generic_ide=1", "panic=3",
        "image:pc486", "board/cygnet/pc486/grub.cfg", "panic=3",
    ),
    "boot loader's script": (
        "board/pc486/grub.cfg.j2", "set timeout=0", "set timeout=7",
        "image:pc486", "board/cygnet/pc486/grub.cfg", "set timeout=7",
    ),
    "CPU": (
        "board/pc486/board.toml", 'zig-cpu = "i486"', 'zig-cpu = "mips32r2+soft_float"',
        "musl:i486", "configs/cygnet_pc486_defconfig", "BR2_mips_32r2=y",
    ),
    "flash": (
        "board/kirkwood/board.toml", "root-mib = 16", "root-mib = 20",
        "image:kirkwood", "board/cygnet/kirkwood/ubinize.ini", f"vol_size={20 << 20}",
    ),
    "device tree": (
        "board/kirkwood/kirkwood.dts", "partitions {", "partitions { /* more */",
        "linux:kirkwood", "board/cygnet/kirkwood/dts/marvell/kirkwood.dts", "/* more */",
    ),
    "overlay": (
        "overlay/etc/sysctl.conf", "\n", "\n# more\n",
        "rootfs:pc486", "board/cygnet/common/overlay/etc/sysctl.conf", "# more",
    ),
    "manifest": (
        "overlay/manifest.toml", '"mnt" = "0755"', '"mnt" = "0711"',
        "rootfs:pc486", "board/cygnet/pc486/post-build.sh", "directory 0711 mnt",
    ),
    "BusyBox": (
        "packages/busybox/busybox.config", "CONFIG_CROND=y", "# CONFIG_CROND is not set",
        "busybox:i486", "board/cygnet/common/busybox/busybox.config", "# CONFIG_CROND is not set",
    ),
    "a package's file on the box": (
        "packages/unbound/root.ds", "\n", "\n; more\n",
        "unbound:armv7", "board/cygnet/common/overlay/usr/share/dns/root.ds", "; more",
    ),
    "daemon": (
        "packages/cygnet/src/cygnet/__init__.py", '"""', '"""More. ',
        "cygnet:i486", "package/cygnet/src/cygnet/__init__.py", '"""More. ',
    ),
    "a kernel's source": (
        "packages/sources.lock", "linux_6.12.", "linux_6.12.9",
        "", "patches/linux/linux.hash", "linux_6.12.9",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_what_changes_in_a_folder_changes_in_both_engines(what: str, copy: Path, tmp_path: Path) -> None:
    """Described once: the step of Cygnet's own engine gets another key, and the tree another line."""
    file, old, new, step, exported, shown = CHANGES[what]
    named = step.partition(":")[2]
    board = named if named in BOARDS else "pc486"
    before = project_of(copy, tmp_path / "cache")
    tree = export(before, tmp_path / "tree", (board,))
    assert shown not in (tree / exported).read_text()
    keys = {one.name: one.key for one in walk([before.plan(board).image])}

    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new))
    after = project_of(copy, tmp_path / "cache")
    export(after, tree, (board,))
    assert shown in (tree / exported).read_text()
    if step:
        assert keys[step] != {one.name: one.key for one in walk([after.plan(board).image])}[step]


def test_a_package_that_a_board_leaves_out_is_asked_for_neither_here_nor_there(copy: Path, tmp_path: Path) -> None:
    file = copy / "board/armv7/board.toml"
    file.write_text('without = ["ppp"]\n' + file.read_text())
    tree = export(project_of(copy, tmp_path / "cache"), tmp_path / "tree", ("armv7", "mipsel"))
    assert "BR2_PACKAGE_PPPD=y" not in (tree / "configs/cygnet_armv7_defconfig").read_text()
    assert "BR2_PACKAGE_PPPD=y" in (tree / "configs/cygnet_mipsel_defconfig").read_text()


def test_a_board_is_one_folder_here_too(copy: Path, tmp_path: Path) -> None:
    """Nothing but the folder is new; what it says in Buildroot's words comes last and stands alone."""
    (copy / "board/pc486").rename(copy / "board/gateway")
    (copy / "board/gateway/buildroot.config").write_text("BR2_x86_geode=y\n# BR2_PACKAGE_DROPBEAR is not set\n")
    tree = export(project_of(copy, tmp_path / "cache"), tmp_path / "tree", ("gateway",))
    lines = (tree / "configs/cygnet_gateway_defconfig").read_text().splitlines()
    assert lines[-2:] == ["BR2_x86_geode=y", "# BR2_PACKAGE_DROPBEAR is not set"]
    named = symbols(lines)
    assert len(named) == len(set(named))
    assert "board=gateway" in (tree / "board/cygnet/gateway/overlay/usr/lib/cygnet/image").read_text()


def test_a_cpu_without_words_needs_some(copy: Path, tmp_path: Path) -> None:
    file = copy / "board/pc486/board.toml"
    file.write_text(file.read_text().replace('zig-cpu = "i486"', 'zig-cpu = "c3"'))
    out = tmp_path / "tree"
    with pytest.raises(CygnetError) as error:
        export(project_of(copy, tmp_path / "cache"), out, ("pc486",))
    assert str(error.value) == (
        "pc486: no word of Buildroot's is known for its CPU (x86-linux-musl, c3): add one to "
        f"builder/buildroot/words.toml, or write {copy / 'board/pc486/buildroot.config'}"
    )
    assert not out.exists()
    (copy / "board/pc486/buildroot.config").write_text("BR2_i386=y\nBR2_x86_c3=y\n")
    export(project_of(copy, tmp_path / "cache"), out, ("pc486",))
    assert "BR2_x86_c3=y" in (out / "configs/cygnet_pc486_defconfig").read_text()


# What a folder lacks or has wrong, and the sentence.
MISTAKES = {
    "packages/dropbear/buildroot.config": (None, "nothing says how Buildroot makes dropbear; write buildroot.config there"),
    "packages/ppp/buildroot.config": ("{{ nothing }}\n", "buildroot.config:1: 'nothing' is undefined"),
    "packages/site/buildroot.config": ("{% if %}\n", "buildroot.config:1: Expected an expression"),
    "packages/zlib/buildroot.config": ("A=\"{{ place('none') }}\"\n", "buildroot.config:1: there is no "),
}  # fmt: skip


@pytest.mark.parametrize("file", MISTAKES)
def test_a_mistake_in_a_folder_is_one_sentence_and_no_tree(file: str, copy: Path, tmp_path: Path) -> None:
    text, expected = MISTAKES[file]
    (copy / file).unlink() if text is None else (copy / file).write_text(text)
    with pytest.raises(CygnetError) as error:
        export(project_of(copy, tmp_path / "cache"), tmp_path / "tree", ("armv7",))
    assert expected in str(error.value)
    assert not list(tmp_path.glob("tree*"))


def test_an_unknown_board_is_one_sentence(project: Project, tmp_path: Path) -> None:
    with pytest.raises(CygnetError, match=r"No board is called 'pc468'; did you mean pc486\?"):
        export(project, tmp_path / "tree", ("pc468",))
    assert not (tmp_path / "tree").exists()


def test_only_what_buildroots_rust_does_not_know_comes_from_the_store_and_its_sources_are_named(
    project: Project, tmp_path: Path
) -> None:
    tree = export(project, tmp_path / "tree")
    package = tree / "package/cygnet-cryptography"
    modules = {file.parent.name: file.read_text() for file in package.glob("prebuilt/*/_rust.abi3.so")}
    assert modules == {cpu: f"for {cpu}\n" for cpu in ("i486", "mipsbe", "mipsel")}
    makefile, hashes = ((package / f"cygnet-cryptography.{kind}").read_text() for kind in ("mk", "hash"))
    named = re.findall(r"http://mirror\.example/\S+/(\S+\.(?:xz|gz|deb))", makefile)
    for source in ("openssl_3", "rustc_1", "librust-pyo3-dev_", "python-cryptography_4"):
        assert any(name.startswith(source) for name in named), source
    upstream = re.search(r"_SOURCE = (\S+)", makefile)
    assert upstream
    assert sorted({*named, upstream[1]}) == sorted(re.findall(r"^sha256  [0-9a-f]{64}  (\S+)$", hashes, re.MULTILINE))
    assert "python3.13" not in "".join(named), "Buildroot brings its own Python"


def test_the_kernel_is_the_locked_one(project: Project, tmp_path: Path) -> None:
    tree = export(project, tmp_path / "tree", ("armv5",))
    source = project.sources.locked("linux").files[-1]
    text = (tree / "configs/cygnet_armv5_defconfig").read_text()
    assert f'BR2_LINUX_KERNEL_CUSTOM_TARBALL_LOCATION="{MIRRORED}/{source.path}"' in text
    for package in ("linux", "linux-headers"):
        line = f"sha256  {source.sha256}  {source.name}\n"
        assert (tree / f"patches/{package}/{package}.hash").read_text().endswith(line)


MIRRORED = "http://mirror.example/debian-security"


@pytest.mark.parametrize("board", BOARDS)
def test_no_symbol_is_asked_for_twice(board: str, project: Project, tmp_path: Path) -> None:
    tree = export(project, tmp_path / "tree", (board,))
    named = symbols((tree / "configs" / defconfig_name(board)).read_text().splitlines())
    assert len(named) == len(set(named))
