"""The disk image's parts: partition table, boot code, environment block, budget, overlay."""

from __future__ import annotations

import struct
from pathlib import Path

import msgspec
import pytest

from builder.boards import load_board
from builder.checks.budget import check_budget
from builder.checks.kernel_config import check_config
from builder.errors import CygnetError, RecipeError
from builder.image.layout import MIB, SECTOR, disk_size, partition_table, partitions
from builder.image.loaders.grub import environment_block
from builder.image.overlay import lay
from builder.settings import PROJECT

BOARD = load_board(PROJECT / "board", "pc486")


def test_the_partition_table_says_what_the_layout_says() -> None:
    table = partition_table(BOARD.disk, 0xC0FFEE01)
    signature, _ = struct.unpack_from("<IH", table)
    entries = [struct.unpack_from("<B3xB3xII", table, 6 + 16 * number) for number in range(4)]
    assert len(table) == SECTOR - 440
    assert signature == 0xC0FFEE01
    assert table.endswith(b"\x55\xaa")
    assert [entry[:2] for entry in entries] == [(0x80, 0x83), (0, 0x83), (0, 0x83), (0, 0x83)]
    assert [(start * SECTOR, size * SECTOR) for _, _, start, size in entries] == [
        (part.start, part.size) for part in partitions(BOARD.disk).values()
    ]


def test_partitions_follow_each_other_behind_the_boot_loader() -> None:
    found = list(partitions(BOARD.disk).values())
    assert found[0].start == MIB
    assert all(one.start + one.size == other.start for one, other in zip(found, found[1:], strict=False))
    assert disk_size(BOARD.disk) == found[-1].start + found[-1].size


def test_a_64_mb_card_holds_the_image() -> None:
    assert disk_size(BOARD.disk) <= 60 * 1000 * 1000


def test_the_environment_block_is_what_grub_reads() -> None:
    block = environment_block(slot="a", trial="")
    assert len(block) == 1024
    assert block.startswith(b"# GRUB Environment Block\nslot=a\ntrial=\n#")


def test_over_budget_says_by_how_much_and_where_to_change_it() -> None:
    with pytest.raises(CygnetError, match=r"pc486: the rootfs is .* 7 over its budget .*board\.toml, \[budget\]"):
        check_budget(BOARD, BOARD.budget.kernel, BOARD.budget.rootfs + 7)
    check_budget(BOARD, BOARD.budget.kernel, BOARD.budget.rootfs)


def test_over_budget_names_the_packages_that_grew() -> None:
    now, before = {"python": 900, "busybox": 70, "musl": 10}, {"python": 500, "busybox": 50, "musl": 10}
    with pytest.raises(CygnetError, match=r"grew, in bytes before compression: python by 400, busybox by 20\."):
        check_budget(BOARD, BOARD.budget.kernel + 1, 1, now, before)


def test_a_kernel_symbol_that_was_dropped_is_named_with_its_line(tmp_path: Path) -> None:
    fragment, config = tmp_path / "kernel.config", tmp_path / ".config"
    fragment.write_text("# why\nCONFIG_XFRM=y\nCONFIG_NATSEMI=y\nCONFIG_SMP=n\n")
    config.write_text("CONFIG_XFRM=y\n# CONFIG_SMP is not set\n")
    with pytest.raises(CygnetError, match=rf"{fragment}:3: CONFIG_NATSEMI=y, but the kernel has n"):
        check_config([fragment], config)
    config.write_text("CONFIG_XFRM=y\nCONFIG_NATSEMI=y\n")
    check_config([fragment], config)


def test_a_board_can_do_without_what_all_others_have(tmp_path: Path) -> None:
    common, board, config = tmp_path / "common.config", tmp_path / "kernel.config", tmp_path / ".config"
    common.write_text("CONFIG_XFRM=y\nCONFIG_VIRTIO_NET=y\n")
    board.write_text("CONFIG_VIRTIO_NET=n\n")
    config.write_text("CONFIG_XFRM=y\n")
    check_config([common, board], config)
    with pytest.raises(CygnetError, match=rf"{common}:2: CONFIG_VIRTIO_NET=y, but the kernel has n"):
        check_config([common], config)


def test_a_kernel_fragment_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    fragment = tmp_path / "kernel.config"
    fragment.write_text("CONFIG_XFRM=y\nXFRM_USER=y\n")
    with pytest.raises(RecipeError, match=r"kernel\.config:2: expected CONFIG_NAME=value"):
        check_config([fragment], fragment)


class TestOverlay:
    """Files, templates and the manifest."""

    def test_files_templates_and_manifest_land_where_they_should(self, tmp_path: Path) -> None:
        overlay, root = tmp_path / "overlay", tmp_path / "root"
        (overlay / "etc").mkdir(parents=True)
        (overlay / "etc/issue.j2").write_text("Cygnet {{ version }}\n")
        (overlay / "etc/run").write_text("#!/bin/sh\n")
        (overlay / "etc/run").chmod(0o700)
        (overlay / "manifest.toml").write_text(
            '[directories]\n"tmp" = "1777"\n[links]\n"root" = "data/root"\n[modes]\n"etc/issue" = "0600"\n'
        )
        laid = lay(overlay, root, {"version": "1"})
        assert sorted(laid) == ["etc/issue", "etc/run", "root"]
        assert (root / "etc/issue").read_text() == "Cygnet 1\n"
        assert oct((root / "etc/issue").stat().st_mode & 0o7777) == "0o600"
        assert oct((root / "etc/run").stat().st_mode & 0o7777) == "0o755"
        assert oct((root / "tmp").stat().st_mode & 0o7777) == "0o1777"
        assert str((root / "root").readlink()) == "data/root"

    def test_a_template_that_asks_for_what_there_is_not_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "overlay").mkdir()
        (tmp_path / "overlay/issue.j2").write_text("{{ verzion }}")
        with pytest.raises(RecipeError, match=r"issue\.j2:1: 'verzion' is undefined; there are: version"):
            lay(tmp_path / "overlay", tmp_path / "root", {"version": "1"})

    def test_a_template_that_is_none_is_named_with_its_line(self, tmp_path: Path) -> None:
        (tmp_path / "overlay").mkdir()
        (tmp_path / "overlay/issue.j2").write_text("one\n{% if %}\n")
        with pytest.raises(RecipeError, match=r"issue\.j2:2: "):
            lay(tmp_path / "overlay", tmp_path / "root", {})

    def test_a_mode_for_nothing_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "overlay").mkdir()
        (tmp_path / "overlay/manifest.toml").write_text('[modes]\n"etc/shadow" = "0600"\n')
        with pytest.raises(CygnetError, match=r"names etc/shadow, which nothing puts there"):
            lay(tmp_path / "overlay", tmp_path / "root", {})


def test_a_board_with_a_slot_too_small_is_caught_by_type() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"loader": "grub-pc", "boot-mib": 4, "slot-mib": -1, "data-mib": 16}, type(BOARD.disk))
