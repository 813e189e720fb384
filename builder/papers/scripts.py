"""The scripts that control compilation, as one tarball: this project, the same bytes each time.

Taken is what git tracks and what is new and not ignored, as it stands in the working
tree, since that is what built the image.  Outside a checkout: every file of the named folders.
"""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

from builder.errors import CygnetError
from builder.run import ENVIRONMENT
from builder.settings import EPOCH, VERSION

FOLDERS = ("builder", "packages", "board", "overlay")
FILES = (
    "inv", "tasks.py", "requirements.in", "requirements.txt", "pyproject.toml", "README.md", "LICENSE",
)  # fmt: skip


def write_scripts(project: Path, to: Path) -> None:
    """Write the tarball of the project to ``to``."""
    with tarfile.open(to, "w:xz", format=tarfile.GNU_FORMAT) as tar:
        for name in script_files(project):
            tar.add(project / name, f"cygnet-{VERSION}/{name}", recursive=False, filter=_plain)


def script_files(project: Path) -> list[str]:
    """The names of the files, sorted."""
    names = _listed_by_git(project) if (project / ".git").exists() else _all(project)
    return sorted(name for name in names if os.path.lexists(project / name))


def _listed_by_git(project: Path) -> list[str]:
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"]
    environment = {**ENVIRONMENT, "HOME": os.environ.get("HOME", "/")}
    try:
        done = subprocess.run([*command, *FOLDERS, *FILES], cwd=project, capture_output=True, env=environment)
    except OSError:
        raise CygnetError("git is not installed: it says which files are the project's. apt install git") from None
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise CygnetError(f"git cannot list the project's files in {project}: {words[-1]}")
    return [name for name in done.stdout.decode().split("\0") if name]


def _all(project: Path) -> list[str]:
    inside = [file for folder in FOLDERS for file in (project / folder).rglob("*")]
    files = [file for file in inside if not file.is_dir() and "__pycache__" not in file.parts]
    return [*(str(file.relative_to(project)) for file in files), *FILES]


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nothing of this machine or user: owner root, a fixed time, two kinds of mode."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = EPOCH
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member
