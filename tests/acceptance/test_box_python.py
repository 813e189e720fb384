"""Python on the box: the version, and what the keying daemon builds on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builder.smoke.box import Box

PROGRAM = Path(__file__).parent / "on_target/python_facts.py"
NLMSG_DONE = 3


@pytest.fixture(scope="module")
def facts(boxes: dict[str, Box]) -> dict[str, Any]:
    """What the program found out."""
    boxes["box-a"].log_in()
    return dict(json.loads(boxes["box-a"].python(PROGRAM, timeout=60)))


def test_version(facts: dict[str, Any]) -> None:
    """Python is CPython 3.13"""
    assert (facts["implementation"], facts["version"]) == ("cpython", [3, 13])


def test_modules(facts: dict[str, Any]) -> None:
    """The modules of the keying daemon can be imported"""
    assert set(facts["modules"]) >= {"asyncio", "hashlib", "hmac", "json", "struct", "socket"}


def test_asyncio(facts: dict[str, Any]) -> None:
    """asyncio runs tasks and a child process side by side"""
    assert facts["asyncio"] == ["Linux", "slept"]


def test_netlink(facts: dict[str, Any]) -> None:
    """A netlink socket reaches the kernel's XFRM and is answered"""
    assert facts["xfrm"] == NLMSG_DONE


def test_hashes(facts: dict[str, Any]) -> None:
    """hashlib and hmac compute known answers (FIPS 180-4, RFC 1321, RFC 2202)"""
    assert facts["sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert facts["md5"] == "900150983cd24fb0d6963f7d28e17f72"
    assert facts["hmac"] == "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"


def test_arithmetic(facts: dict[str, Any]) -> None:
    """Long integers and floating point are right on this CPU"""
    assert facts["long"] == pow(3, 2**64, 2**61 - 1)
    assert facts["float"] == [0.1 + 0.2, 2.0**0.5]
