"""Debian's U-Boot on an ARM board in QEMU, an empty disk: flashed over its console it is a running box.

One story for all tests (flash_in_qemu.py), since QEMU takes its time.
"""

from __future__ import annotations

from typing import Any

import pytest
from story_in_qemu import what_became_of


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return what_became_of("flash_in_qemu.py", "armv7", tmp_path_factory.mktemp("qemu"))


def test_the_wrong_image_is_refused_before_a_byte_is_typed(found: Any) -> None:
    assert "other.img is for pc486 and would not start on armv7" in found["refused"]
    assert found["typed"] == 0


def test_an_empty_disk_becomes_a_running_box(found: Any) -> None:
    assert found["same"]
    assert "the box is up" in found["told"]
    assert "Cygnet" in found["status"]


def test_it_goes_on_after_the_line_dropped(found: Any) -> None:
    assert any("the line dropped" in line for line in found["told"])


def test_a_running_box_is_restarted_and_takes_a_piece_by_ymodem(found: Any) -> None:
    assert "the board runs Linux: it is restarted" in found["told"]
    assert found["ymodem"]
