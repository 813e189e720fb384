"""The exported tree in a real Buildroot, the one that CYGNET_BUILDROOT names: nothing is compiled, nothing downloaded.

Without the setting each test is reported as skipped, by its name.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from export_project import PARTS, project_of

from builder.boards import board_names
from builder.buildroot.defconfig import needs_prebuilt
from builder.buildroot.export import export
from builder.buildroot.prebuilt import Prebuilt
from builder.buildroot.tree import defconfig_name
from builder.plan import Project
from builder.settings import PROJECT

BUILDROOT = Path(os.environ.get("CYGNET_BUILDROOT") or "nowhere")
EXAMPLE = "beaglebone"
BOARDS = [*board_names(PROJECT / "board"), EXAMPLE]
# What a package waits for in Buildroot, each of which takes an hour to build.
BEFORE = ("FINAL_", "FINAL_ALL_", "FINAL_DOWNLOAD_", "FINAL_EXTRACT_", "FINAL_PATCH_")
ASKED = re.compile(r"(?:# )?BR2_\w+(?:=.*| is not set)")
pytestmark = pytest.mark.skipif(
    not (BUILDROOT / "package").is_dir(), reason="CYGNET_BUILDROOT names no folder with a Buildroot"
)
# What check-package asks of a file's kind, which it otherwise takes from a library of its own. Python is ruff's affair.
MAGIC = """
def from_file(name, mime):
    with open(name, "rb") as file:
        return "text/x-shellscript" if file.readline().strip() == b"#!/bin/sh" else "text/plain"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """This project with one board more, the example of docs/buildroot.md."""
    folder = tmp_path_factory.mktemp("project")
    for part in PARTS:
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("tests", "__pycache__", ".*"))
    shutil.copytree(PROJECT / "docs/examples/boards" / EXAMPLE, folder / "board" / EXAMPLE)
    shutil.copy(PROJECT / "board/armv7/boot.cmd.j2", folder / "board" / EXAMPLE)
    return project_of(folder, folder / "cache")


@pytest.fixture(scope="module")
def tree(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of all boards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Prebuilt, "module", lambda _, board: f"for {board.cpu.name}\n".encode())
        patch.setenv("CYGNET_MIRROR", "http://mirror.example/debian")
        return export(project, tmp_path_factory.mktemp("export") / "tree")


def make(tree: Path, output: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Buildroot's make, in a folder of its own."""
    command = ["make", "-s", "-C", str(BUILDROOT), f"O={output}", f"BR2_EXTERNAL={tree}", *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("BR2_", "MAKE", "MFLAGS"))}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def outputs(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """Buildroot configured for each board: where, and what it said."""
    found = {}
    for board in BOARDS:
        output = tmp_path_factory.mktemp(board)
        done = make(tree, output, defconfig_name(board))
        assert done.returncode == 0, done.stderr
        found[board] = (output, done.stdout + done.stderr)
    return found


@pytest.mark.parametrize("board", BOARDS)
def test_every_symbol_that_is_asked_for_is_in_the_configuration(
    board: str, tree: Path, outputs: dict[str, tuple[Path, str]]
) -> None:
    output, said = outputs[board]
    asked = [
        line for line in (tree / "configs" / defconfig_name(board)).read_text().splitlines() if ASKED.fullmatch(line)
    ]
    final = (output / ".config").read_text().splitlines()
    named = {line.removeprefix("# ").split("=")[0].split()[0] for line in final if ASKED.fullmatch(line)}
    # What is off may be hidden as well.
    lost = [
        line for line in asked if line not in final and not (line.startswith("# ") and line.split()[1] not in named)
    ]
    assert not lost
    assert len(asked) > 30
    assert "warning" not in said.lower()
    assert "error" not in said.lower()


@pytest.mark.parametrize("board", BOARDS)
def test_where_buildroots_rust_knows_the_cpu_it_compiles_cryptography_itself(
    board: str, project: Project, outputs: dict[str, tuple[Path, str]]
) -> None:
    from builder.boards import load_board

    text = (outputs[board][0] / ".config").read_text()
    prebuilt = needs_prebuilt(load_board(project.settings.boards, board))
    assert ("\nBR2_PACKAGE_CYGNET_CRYPTOGRAPHY=y" in text) == prebuilt
    assert ("\nBR2_PACKAGE_PYTHON_CRYPTOGRAPHY=y" in text) != prebuilt


@pytest.mark.parametrize("board", ["pc486", "armv7", "kirkwood"])
def test_buildroot_shows_our_packages_and_what_they_depend_on(
    board: str, tree: Path, outputs: dict[str, tuple[Path, str]]
) -> None:
    done = make(tree, outputs[board][0], "show-info")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout[done.stdout.index("{") :])
    assert shown["cygnet"]["licenses"] == "Apache-2.0"
    assert "python3" in shown["cygnet"]["dependencies"]
    cryptography = "cygnet-cryptography" if board == "pc486" else "python-cryptography"
    for name in ("cygnet", "python-cygnet-site", cryptography, "busybox", "dropbear", "iproute2", "iptables", "pppd"):
        assert name in shown, name
    assert make(tree, outputs[board][0], "check-dependencies").returncode == 0


@pytest.mark.skipif(
    not shutil.which("dot"), reason="Buildroot draws with dot (package graphviz), which is not installed"
)
def test_buildroot_draws_what_depends_on_what(tree: Path, outputs: dict[str, tuple[Path, str]]) -> None:
    done = make(tree, outputs["pc486"][0], "graph-depends")
    assert done.returncode == 0, done.stdout + done.stderr
    graphs = outputs["pc486"][0] / "graphs"
    drawn = (graphs / "graph-depends.dot").read_text()
    for edge in ("_cygnet -> _python3", "_pythoncygnetsite -> _cygnet", "_cygnetcryptography -> _pythoncffi"):
        assert edge in drawn, drawn
    assert (graphs / "graph-depends.pdf").stat().st_size


def test_kernel_and_busybox_begin_with_nothing(tree: Path, outputs: dict[str, tuple[Path, str]]) -> None:
    done = make(
        tree, outputs["pc486"][0], "printvars", "VARS=LINUX_KCONFIG_DEFCONFIG LINUX_MAKE_ENV BUSYBOX_KCONFIG_DEFCONFIG"
    )
    fragment = tree / "board/cygnet/pc486/linux.config"
    assert "LINUX_KCONFIG_DEFCONFIG=allnoconfig\n" in done.stdout
    assert f"KCONFIG_ALLCONFIG={fragment}" in done.stdout
    assert "BUSYBOX_KCONFIG_DEFCONFIG=defconfig && " in done.stdout
    other = make(tree, outputs[EXAMPLE][0], "printvars", "VARS=LINUX_KCONFIG_DEFCONFIG")
    assert other.stdout == "LINUX_KCONFIG_DEFCONFIG=omap2plus_defconfig\n"


def test_buildroots_own_checker_finds_nothing(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "magic.py").write_text(MAGIC)
    (tmp_path / "flake8/main").mkdir(parents=True)
    (tmp_path / "flake8/main/application.py").touch()
    files = sorted(str(file.relative_to(tree)) for file in tree.rglob("*") if file.is_file() and not file.is_symlink())
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, BUILDROOT / "utils/check-package", "--br2-external", *files], cwd=tree, capture_output=True,
        text=True, env={**os.environ, "PYTHONPATH": str(tmp_path), "PATH": path},
    )  # fmt: skip
    assert done.stdout == "", done.stdout
    assert re.search(r"^0 warnings generated$", done.stderr, re.MULTILINE), done.stderr


@pytest.mark.parametrize("package", ["cygnet", "python-cygnet-site"])
def test_packages_of_ours_unpack(package: str, tree: Path, outputs: dict[str, tuple[Path, str]]) -> None:
    output = outputs["pc486"][0]
    done = make(tree, output, f"{package}-rsync")
    assert done.returncode == 0, done.stdout + done.stderr
    (build,) = (output / "build").glob(f"{package}-[0-9]*")
    assert (build / "LICENSE").is_file()
    assert list(build.glob("src/*/__init__.py"))


def test_what_no_cpu_changes_is_built_and_installed(
    tree: Path, outputs: dict[str, tuple[Path, str]], tmp_path: Path
) -> None:
    """By Buildroot's rules; this machine's Python and time zones stand in for those that it would build before."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (tmp_path / "bin/python3").chmod(0o755)
    (tmp_path / "share/zoneinfo").mkdir(parents=True)
    (tmp_path / "share/zoneinfo/posix").symlink_to("/usr/share/zoneinfo")
    none_before = [f"{package}_{kind}DEPENDENCIES=" for package in ("CYGNET", "PYTHON_CYGNET_SITE") for kind in BEFORE]
    output = outputs["pc486"][0]
    steps = ("cygnet-install-target", "python-cygnet-site-install-target")
    done = make(tree, output, *steps, *none_before, f"HOST_DIR={tmp_path}")
    assert done.returncode == 0, done.stdout + done.stderr
    target = output / "target"
    (modules,) = target.glob("usr/lib/python3.*/site-packages")
    assert (target / "usr/lib/python3/dist-packages").resolve() == modules
    assert os.access(target / "usr/sbin/ipsec", os.X_OK)
    assert os.access(target / "usr/lib/ipsec/_updown", os.X_OK)
    assert "Europe/Berlin CET-1CEST" in (modules / "cygnet_site/timezones").read_text()
    assert not (modules / "cygnet_site/templates").exists()
    used = "from cygnet_site import compiled; from cygnet.cli import commands; print(compiled.__file__)"
    said = subprocess.run(
        [sys.executable, "-B", "-P", "-c", used],
        env={"PYTHONPATH": str(modules)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == str(modules / "cygnet_site/compiled.py")
