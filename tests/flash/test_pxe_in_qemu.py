"""A PC with a simulated comBIOS, in QEMU: flashed over its network it is a running box; what is not meant is not touched.

One story for all tests (pxe_in_qemu.py), since QEMU takes its time.
"""

from __future__ import annotations

from typing import Any

import pytest
from story_in_qemu import what_became_of


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return what_became_of("pxe_in_qemu.py", "pc486", tmp_path_factory.mktemp("qemu"))


def test_a_disk_that_is_too_small_is_told(found: Any) -> None:
    assert "sda: QEMU HARDDISK, 34 MB is too small: the image has 56 MB" in found["refused"]["told"]


def test_an_installer_writes_nothing_for_who_has_not_its_token(found: Any) -> None:
    *writes, unlocked = found["refused"]["said"]
    assert writes == ["nothing is unlocked", "nothing is unlocked"]
    assert unlocked == "this installer was made for another run"
    assert found["refused"]["untouched"]


def test_a_disk_becomes_a_running_box(found: Any) -> None:
    assert found["flashed"]["same"]
    assert found["flashed"]["told"][-1] == "the box is up"
    assert "board: pc486" in found["flashed"]["status"]


def test_each_step_is_told(found: Any) -> None:
    told = found["flashed"]["told"]
    assert "52:54:00:c9:00:01 asks by PXE, and gets 192.168.77.1" in told
    assert "its disk is sda: QEMU HARDDISK, 67 MB" in told
    assert "written: 56 of 56 MB" in told
    assert "read back: 56 of 56 MB" in told


def test_what_is_behind_the_image_stays(found: Any) -> None:
    assert found["flashed"]["behind"]


def test_data_stays_when_that_is_asked_for(found: Any) -> None:
    assert found["kept"]["own"]
    assert found["kept"]["data"]
    assert found["kept"]["same"]
    assert "written: 39 of 39 MB" in found["kept"]["told"]
