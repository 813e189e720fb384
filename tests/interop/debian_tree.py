"""Trees of Debian packages, for peers that we did not write: nothing is installed on this machine.

apt resolves a list of peers.toml against the signed index, in a private state directory; the packages are
unpacked below the cache directory.  A tree is named by the hashes of its packages and of this code, so an
old one is never taken for a new one.  The index is asked once a day; without a network the last answer holds.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from builder.errors import SourceError
from builder.settings import settings
from builder.sources.fetch import Downloads, NotServed
from builder.sources.index import ARCHITECTURE, KEYRING
from builder.sources.lock import File
from builder.sources.mirror import mirrors

LISTS = Path(__file__).with_name("peers.toml")
DAY, WEEK = 86_400, 604_800
DOWNLOADS_AT_ONCE = 8
LOADER = "usr/lib64/ld-linux-x86-64.so.2"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
# apt: 'http://mirror/debian/pool/main/n/name.deb' name.deb 1234 SHA256:...
OFFER = re.compile(r"^'(?P<address>[^']+)' \S+ (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})$", re.MULTILINE)
UNUSED = [f"usr/share/{name}" for name in "bash-completion bug doc info lintian locale man perl5".split()]
LINKS = {name: f"usr/{name}" for name in ("bin", "sbin", "lib", "lib64")} | {"var/run": "/run"}
FOLDERS = "dev etc proc root run sys tmp usr/bin usr/lib usr/lib64 usr/sbin var/lib var/log".split()
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


def tree(name: str) -> Path:
    """The unpacked packages of the list ``name``, made if it is not there; nobody writes in it."""
    try:
        return _tree(name, offers(name))
    except NotServed:
        return _tree(name, offers(name, oldest=0))


def _tree(name: str, files: Sequence[File]) -> Path:
    text = "".join(file.sha256 for file in files) + Path(__file__).read_text()
    return kept(name, text, lambda place: _unpack(files, place))


def kept(name: str, contents: str, make: Callable[[Path], None]) -> Path:
    """What ``make`` leaves at the path it is given; made once for the same ``contents``, whole or not at all."""
    place = cache() / f"{name}-{hashlib.sha256(contents.encode()).hexdigest()[:16]}"
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        with tempfile.TemporaryDirectory(dir=place.parent, prefix="new-") as folder:
            new = Path(folder) / name
            make(new)
            if not place.exists():
                new.rename(place)
    os.utime(place)
    _forget_old(place)
    return place


def cache() -> Path:
    """Where all that the peers need is kept."""
    return settings().cache / "peers"


def _forget_old(place: Path) -> None:
    """Remove what ``place`` has replaced, unless another run may still use it."""
    for old in place.parent.glob(f"{place.name[:-16]}{'[0-9a-f]' * 16}"):
        if old.stat().st_mtime < time.time() - WEEK:
            shutil.rmtree(old) if old.is_dir() else old.unlink()


def offers(name: str, oldest: float = DAY) -> list[File]:
    """The package files of a list, dependencies among them; from what apt said at most ``oldest`` seconds ago."""
    lists = tomllib.loads(LISTS.read_text())
    wanted = json.dumps([lists["suites"], lists["without"], lists["trees"][name]])
    answer = cache() / f"{name}.json"
    known = json.loads(answer.read_text()) if answer.exists() else {}
    if known.get("wanted") == wanted and known["when"] > time.time() - oldest:
        return [File(**file) for file in known["files"]]
    try:
        files = _resolve(lists["suites"], lists["trees"][name], set(lists["without"]))
    except SourceError:
        if known.get("wanted") == wanted:
            return [File(**file) for file in known["files"]]
        raise
    plain = [{"path": f.path, "sha256": f.sha256, "size": f.size, "repository": f.repository} for f in files]
    new = answer.with_suffix(".new")
    new.write_text(json.dumps({"wanted": wanted, "when": time.time(), "files": plain}))
    new.replace(answer)
    return files


def _resolve(suites: Sequence[str], packages: Sequence[str], without: set[str]) -> list[File]:
    """What apt would install on an empty machine."""
    state = cache() / "apt"
    for folder in ("lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    base = mirrors()
    lines = [f"deb [signed-by={KEYRING}] {base[_repository(suite)]} {suite} main\n" for suite in suites]
    (state / "sources.list").write_text("".join(lines))
    _apt(state, "update", "--error-on=any")
    said = _apt(state, "install", "--yes", "--print-uris", "--no-install-recommends", *packages)
    files = [_file(found["address"], found["sha256"], int(found["size"]), base) for found in OFFER.finditer(said)]
    return [file for file in files if file.name.partition("_")[0] not in without]


def _repository(suite: str) -> str:
    return "debian-security" if suite.endswith("-security") else "debian"


def _file(address: str, sha256: str, size: int, base: dict[str, str]) -> File:
    repository = max((r for r in base if address.startswith(f"{base[r]}/")), key=lambda r: len(base[r]))
    return File(address.removeprefix(f"{base[repository]}/"), sha256, size, repository)


def _apt(state: Path, *words: str) -> str:
    options = {
        "Dir::State": state,
        "Dir::State::lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "APT::Architecture": ARCHITECTURE,
        "APT::Architectures": ARCHITECTURE,
        "APT::Update::Post-Invoke-Success::": "",
        "APT::Sandbox::User": "",
        "Acquire::ForceHash": "SHA256",
        "Acquire::Languages": "none",
    }
    command = ["apt-get", *(word for name, value in options.items() for word in ("-o", f"{name}={value}")), *words]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    if done.returncode:
        reason = next((line[3:] for line in done.stderr.splitlines() if line.startswith("E:")), "no reason given")
        raise SourceError(f"apt cannot resolve the peers of {LISTS}: {reason}")
    return done.stdout


def _unpack(files: Sequence[File], place: Path) -> None:
    downloads = Downloads(settings().downloads)
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        debs = list(pool.map(downloads.fetch, files))
    for folder in FOLDERS:
        (place / folder).mkdir(parents=True)
    for link, target in LINKS.items():
        (place / link).symlink_to(target)
    for deb in debs:
        subprocess.run(["dpkg-deb", "--extract", str(deb), str(place)], check=True)
    for folder in UNUSED:
        shutil.rmtree(place / folder, ignore_errors=True)
    for name, text in FILES.items():
        (place / name).write_text(text)


def in_tree(place: Path, program: str, *words: str) -> list[str]:
    """The command that runs a tree's program outside of it: by its own loader and libraries."""
    loader = [str(place / LOADER), "--argv0", Path(program).name, "--library-path", str(place / LIBRARIES)]
    return [*loader, str((place / program).resolve()), *words]
