"""Which tests run one after the other when all are shared among cores."""

from __future__ import annotations

import pytest

from builder.smoke.sharing import group

PAIRS = ["pc486", "armv7", "pc486+mipsbe"]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("tests/acceptance/test_box_esp.py::test_tunnel[aes-gcm-armv7]", "armv7"),
        ("tests/acceptance/test_box_crypto.py::test_answer[pc486-3des-cbc]", "pc486"),
        ("tests/acceptance/test_box_boot.py::test_boots[pc486+mipsbe]", "pc486+mipsbe"),
        ("tests/acceptance/test_box_boot.py::test_boots", "tests/acceptance/"),
        ("tests/interop/test_interop_nat.py::test_nat[pc486]", "tests/interop"),
        ("tests/test_lint.py::test_types", "tests/test_lint.py"),
        ("packages/cygnet/tests/ike/test_ike_choice.py::test_one", "packages/cygnet/tests/ike"),
    ],
)
def test_the_group(test: str, expected: str) -> None:
    assert group(test, PAIRS) == expected
