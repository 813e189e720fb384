"""Fixtures of the firewall's tests."""

from collections.abc import Iterator

import firewall_scene
import pytest


@pytest.fixture
def namespace() -> Iterator[None]:
    """A network of the test's own."""
    with firewall_scene.namespace():
        yield
