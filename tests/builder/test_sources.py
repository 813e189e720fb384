"""Sources: the lock, the mirror that lacks a file or lies, and what happens then."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from mirror_server import Mirror, mirror

from builder.errors import RecipeError, SourceError
from builder.sources.archive import Archive, Replaced
from builder.sources.fetch import Downloads
from builder.sources.index import newest_first, parse_stanza
from builder.sources.lock import File, Locked, read_lock, write_lock
from builder.sources.unpack import read_series

OLD, NEW = b"zlib 1.3" * 10_000, b"zlib 1.3.1" * 10_000


def locked(version: str, content: bytes) -> Locked:
    """A source of one file."""
    path = f"pool/main/z/zlib/zlib_{version}.orig.tar.gz"
    return Locked(version, "trixie", (File(path, hashlib.sha256(content).hexdigest(), len(content)),))


class Bench:
    """A mirror, a lock that names zlib 1.3, and a candidate 1.3.1."""

    def __init__(self, folder: Path, server: Mirror) -> None:
        self.folder, self.server, self.said = folder, server, []
        self.lock = folder / "sources.lock"
        write_lock(self.lock, {"zlib": locked("1.3", OLD)})

    def serve(self, version: str, content: bytes) -> None:
        file = self.folder / "mirror/debian" / locked(version, b"").files[0].path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def archive(self, frozen: bool = False) -> Archive:
        candidates = [locked("1.3.1", NEW), locked("1.3", OLD)]
        downloads = Downloads(self.folder / "downloads")
        return Archive(
            self.lock, downloads, self.folder / "replaced.json", lambda _: candidates, self.said.append, frozen
        )


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    (tmp_path / "mirror/debian").mkdir(parents=True)
    with mirror(tmp_path / "mirror") as server:
        monkeypatch.setenv("CYGNET_MIRROR", server.address)
        yield Bench(tmp_path, server)


def test_a_locked_file_is_downloaded_once(bench: Bench) -> None:
    bench.serve("1.3", OLD)
    for _ in range(2):
        assert [file.read_bytes() for file in bench.archive().fetch("zlib")] == [OLD]
    assert len(bench.server.asked) == 1


def test_a_version_that_has_gone_is_replaced_aloud_and_remembered(bench: Bench) -> None:
    bench.serve("1.3.1", NEW)
    with pytest.raises(Replaced):
        bench.archive().fetch("zlib")
    assert bench.said == ["zlib 1.3 is gone from trixie: 1.3.1 from trixie."]
    again = bench.archive()
    assert again.locked("zlib").version == "1.3.1"
    assert again.replaced("zlib")
    assert [file.read_bytes() for file in again.fetch("zlib")] == [NEW]


def test_frozen_refuses_another_version(bench: Bench) -> None:
    bench.serve("1.3.1", NEW)
    with pytest.raises(SourceError, match="--frozen forbids another version; run ./inv lock"):
        bench.archive(frozen=True).fetch("zlib")
    assert not bench.said


def test_nothing_to_be_had_names_the_file_and_the_setting(bench: Bench) -> None:
    with pytest.raises(SourceError, match=r"zlib_1\.3\.orig.*does not serve.*No other version.*CYGNET_MIRROR"):
        bench.archive().fetch("zlib")


def test_a_file_with_another_hash_is_never_taken(bench: Bench) -> None:
    bench.serve("1.3", b"not zlib at all")
    with pytest.raises(SourceError, match="wrong SHA-256"):
        bench.archive().fetch("zlib")
    bench.serve("1.3", OLD)
    assert [file.read_bytes() for file in bench.archive().fetch("zlib")] == [OLD]


def test_a_mirror_that_cannot_be_reached_is_one_sentence(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYGNET_MIRROR", "http://127.0.0.1:9/debian")
    monkeypatch.setattr("builder.sources.fetch.RETRIES", 0)
    with pytest.raises(SourceError, match="the mirror cannot be reached. Is the network there?"):
        bench.archive().fetch("zlib")


def test_a_download_goes_on_where_it_stopped(bench: Bench) -> None:
    bench.serve("1.3", OLD)
    bench.server.cut["/debian/" + locked("1.3", OLD).files[0].path] = 30_000
    try:
        bench.archive().fetch("zlib")
    except SourceError:
        bench.archive().fetch("zlib")
    assert "bytes=30000-" in bench.server.ranges
    assert [file.read_bytes() for file in bench.archive().fetch("zlib")] == [OLD]


def test_an_unlocked_source_says_how_to_lock_it(bench: Bench) -> None:
    with pytest.raises(SourceError, match=r"no entry for 'musl'; add it with: ./inv lock --package=musl"):
        bench.archive().fetch("musl")


def test_a_broken_lock_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "sources.lock"
    file.write_text('{"zlib": {"version": 3}}')
    with pytest.raises(RecipeError, match=r"sources\.lock:1: not a lock file \(Expected `str`, got `int`"):
        read_lock(file)


def test_debian_versions_sort_as_dpkg_sorts_them() -> None:
    versions = ["1.3", "1:1.2", "1.3~rc1", "1.3+dfsg1-1", "1.10", "1.3"]
    assert [entry.version for entry in newest_first([locked(version, b"") for version in versions])] == [
        "1:1.2", "1.10", "1.3+dfsg1-1", "1.3", "1.3~rc1",
    ]  # fmt: skip


def test_a_stanza_keeps_its_continuation_lines() -> None:
    stanza = parse_stanza("Package: zlib\nChecksums-Sha256:\n aa 1 zlib.dsc\n bb 2 zlib.orig.tar.gz\nDirectory: pool/z")
    assert stanza["Checksums-Sha256"].split("\n") == ["", "aa 1 zlib.dsc", "bb 2 zlib.orig.tar.gz"]
    assert stanza["Directory"] == "pool/z"


def test_a_series_may_have_comments_and_options(tmp_path: Path) -> None:
    series = tmp_path / "series"
    series.write_text("# fixes\nfix-one.patch\n\nsub/two.patch -p1 # why\n")
    assert read_series(series) == ["fix-one.patch", "sub/two.patch"]
