"""ext file systems made from a directory, without root, the same bytes each time."""

from __future__ import annotations

import uuid
from pathlib import Path

from builder.run import Runner

# Named one by one: the host's mke2fs.conf must not decide what a box's kernel or GRUB has to read.
FEATURES = {
    "ext2": "none,filetype,sparse_super",
    "ext4": "none,has_journal,ext_attr,dir_index,filetype,extent,flex_bg,sparse_super,large_file,dir_nlink,"
    "extra_isize,metadata_csum",
}
NAMESPACE = uuid.UUID("8f8d3c52-0f3e-4f0a-9d56-6f1c2f9b7a01")


def make_ext(
    kind: str, label: str, content: Path, size: int, to: Path, tools: Path, runner: Runner, identity: str
) -> None:
    """Write a file system of ``size`` bytes holding ``content`` to ``to``, everything owned by root.

    ``kind``: "ext2" or "ext4"; ``identity`` decides its UUID.
    """
    to.unlink(missing_ok=True)
    command = [tools / "usr/sbin/mke2fs", *options(kind, label, identity), "-d", content, to, f"{size // 1024}k"]
    runner.run([str(word) for word in command], cwd=to.parent, env={"MKE2FS_CONFIG": "/dev/null"})
    _give_to_root(content, to, tools, runner)


def options(kind: str, label: str, identity: str) -> list[str]:
    """How mke2fs is told about the file system, but for what is in it, its place and size."""
    number = str(uuid.uuid5(NAMESPACE, f"{identity} {label}"))
    return [
        "-q", "-F", "-t", kind, "-O", FEATURES[kind], "-b", "1024", "-I", "256", "-m", "0", "-L", label, "-U", number,
        "-E", f"hash_seed={number},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard",
        *(["-J", "size=1"] if kind == "ext4" else []),
    ]  # fmt: skip


def _give_to_root(content: Path, filesystem: Path, tools: Path, runner: Runner) -> None:
    """mke2fs copies the owner of each file; on the box all is root's."""
    paths = sorted(str(file.relative_to(content)) for file in content.rglob("*"))
    if not paths:
        return
    script = filesystem.with_suffix(".debugfs")
    script.write_text("".join(f'sif "/{path}" {who} 0\n' for path in paths for who in ("uid", "gid")))
    runner.run([str(tools / "usr/sbin/debugfs"), "-w", "-f", str(script), str(filesystem)], cwd=filesystem.parent)
    script.unlink()
