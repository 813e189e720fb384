"""A network namespace that is gone when this process is, with all that was made in it; and programs run in one."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

HERE = "/proc/thread-self/ns/net"


class Namespace:
    """``path``: by which other programs name it."""

    def __init__(self) -> None:
        with staying():
            os.unshare(os.CLONE_NEWNET)
            self._file = os.open(HERE, os.O_RDONLY)
        self.path = f"/proc/{os.getpid()}/fd/{self._file}"

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """What is done meanwhile is done in there; also what child processes do."""
        with staying():
            os.setns(self._file, os.CLONE_NEWNET)
            yield

    def ip(self, *lines: str) -> str:
        """ip(8), many commands at once; what it says. After one of its xfrm it ends, and says that all is well."""
        with self.inside():
            return run("ip", "-batch", "-", text="".join(f"{line}\n" for line in lines))

    def run(self, command: str) -> str:
        """A command in there; what it says."""
        with self.inside():
            return run(*command.split())

    def set(self, **values: int) -> None:
        """Settings of /proc/sys/net, __ for each slash."""
        with self.inside():
            for name, value in values.items():
                Path("/proc/sys/net", name.replace("__", "/")).write_text(str(value))


@contextlib.contextmanager
def staying() -> Iterator[None]:
    """Come back to where we are."""
    home = os.open(HERE, os.O_RDONLY)
    try:
        yield
    finally:
        os.setns(home, os.CLONE_NEWNET)
        os.close(home)


def run(*words: str, text: str = "") -> str:
    """Output of a program that must succeed."""
    done = subprocess.run(words, input=text, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
