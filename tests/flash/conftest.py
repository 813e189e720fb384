"""Images, cards and ports of the tests of ./inv flash."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cards import SIZE, attach, make_image

from builder.image.layout import MIB


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The image that is on a card already."""
    return make_image(tmp_path / "old.img", 1)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """The image that is to be written."""
    return make_image(tmp_path / "new.img", 2)


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Makes loop devices of files: a real disk of this machine's kernel, a little larger than the image."""
    made: list[Path] = []

    def make(content: bytes = b"", size: int = SIZE + MIB, *options: str) -> Path:
        file = tmp_path / f"card{len(made)}"
        with file.open("wb") as card:
            card.write(content)
            card.truncate(size)
        made.append(attach(file, *options))
        return made[-1]

    yield make
    for device in made:
        with contextlib.suppress(subprocess.CalledProcessError):
            subprocess.run(["losetup", "--detach", str(device)], check=True, capture_output=True)


@pytest.fixture
def free_port() -> int:
    """A UDP and TCP port that nobody uses now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
