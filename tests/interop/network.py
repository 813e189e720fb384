"""Machines that are network namespaces of this one, joined by veth pairs: a whole network in milliseconds.

Every namespace belongs to a process that holds it and reads its standard input; everything that runs in the
machines is in one PID namespace, whose first process is such a holder too.  When pytest ends, however it ends,
the input is at its end, and the kernel removes processes, namespaces and cables.  The host's own network, /run
and /etc are never touched; nobody but root needs a user namespace as well.
"""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

HOLD = ("sh", "-c", "echo held; exec cat")
IN_TIME = 10.0
CHUNK = 65_536
USER = ("--user", "--preserve-credentials")


class Namespaces:
    """A network; leaving the context removes all of it."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._enter: list[str] = []
        self.nodes: dict[str, Node] = {}

    def __enter__(self) -> Namespaces:
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        unshare = ["unshare", *user, "--mount", "--net", "--pid", "--fork", "--kill-child", "--", *HOLD]
        # unshare forks: the namespaces are its child's.
        first = child_of(self._held(unshare))
        self._enter = ["nsenter", "--target", str(first), *(USER if user else []), "--mount", "--pid"]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def node(self, name: str) -> Node:
        """A new machine with nothing but a loopback."""
        # nsenter forks, unshare does not.
        holder = child_of(self._held([*self._enter, "--", "unshare", "--mount", "--net", "--", *HOLD]))
        node = Node(name, self._enter, holder)
        self._stack.callback(node.end)
        node.ip("link set lo up")
        self.nodes[name] = node
        return node

    def wire(self, one: tuple[Node, str, str], other: tuple[Node, str, str]) -> None:
        """A cable between two machines; each end is (node, interface, address/length)."""
        (here, card, _), (there, far, _) = one, other
        here.ip(f"link add {card} type veth peer name {far} netns {there.holder}")
        for node, name, address in (one, other):
            node.ip(f"address add {address} dev {name}")
            node.ip(f"link set {name} up")

    def _held(self, command: Sequence[str]) -> int:
        """Start a holder and wait until it holds; its process id."""
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._stack.callback(_let_go, process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n", f"no namespaces here: {shlex.join(command)} failed"
        return process.pid


class Node:
    """One machine."""

    def __init__(self, name: str, enter: Sequence[str], holder: int) -> None:
        self.name = name
        self.holder = holder
        # The user namespace is the outer holder's, and so is the PID namespace.
        user = [word for word in enter if word in USER]
        self._network = ["nsenter", "--target", str(holder), *user, "--mount", "--net"]
        self._all = [*self._network, "--pid"]
        self._programs: list[Program] = []

    def ip(self, words: str) -> str:
        """ip(8) of this machine; process ids are the host's."""
        return text([*self._network, "--", "ip", *shlex.split(words)])

    def run(self, *command: str, **variables: str) -> tuple[str, int]:
        """Output (errors among it) and exit status."""
        done = subprocess.run(
            [*self._all, "--", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, **variables},
        )  # fmt: skip
        return done.stdout.decode(errors="replace"), done.returncode

    def text(self, *command: str, **variables: str) -> str:
        """Output of what must succeed."""
        return text([*self._all, "--", *command], **variables)

    def write(self, file: str, content: str) -> None:
        """Write a file, for instance of /proc/sys."""
        subprocess.run([*self._all, "--", "tee", file], input=content.encode(), stdout=subprocess.DEVNULL, check=True)

    def start(self, command: Sequence[str], output: Path, talks: bool = False, **variables: str) -> Program:
        """Start a program that stays; what it prints goes to ``output``. ``talks``: only its errors do."""
        with output.open("ab") as file:
            program = Program([*self._all, "--", *command], file, talks, variables)
        self._programs.append(program)
        return program

    def end(self) -> None:
        """End every program."""
        for program in self._programs:
            program.end()

    def root(self, tree: Path, run: Path) -> list[str]:
        """The start of commands that see ``tree``, read only, as their root, with the directory ``run`` as /run."""
        place = str(tree)
        for command in (
            f"mount --bind {place} {place}",
            f"mount -o remount,bind,ro {place}",
            f"mount --rbind /dev {place}/dev",
            f"mount -t proc proc {place}/proc",
            f"mount --bind {run} {place}/run",
            f"mount -t tmpfs tmpfs {place}/tmp",
        ):
            self.text(*shlex.split(command))
        return ["chroot", place]


class Program:
    """A program that runs in a machine. ``talks``: by `say` and `hear`; else its output is a file."""

    def __init__(self, command: Sequence[str], output: IO[bytes], talks: bool, variables: Mapping[str, str]) -> None:
        pipe = subprocess.PIPE
        self._nsenter = subprocess.Popen(
            command, stdin=pipe if talks else subprocess.DEVNULL, stdout=pipe if talks else output, stderr=output,
            env={**os.environ, **variables}, bufsize=0,
        )  # fmt: skip
        self.pid = child_of(self._nsenter.pid)

    def say(self, what: bytes) -> None:
        """Write to it, all of it."""
        assert self._nsenter.stdin is not None
        view = memoryview(what)
        while view:
            view = view[self._nsenter.stdin.write(view) :]

    def hear(self, seconds: float) -> bytes:
        """What it says next, b"" if nothing within ``seconds`` or ever again."""
        assert self._nsenter.stdout is not None
        ready, _, _ = select.select([self._nsenter.stdout], [], [], max(seconds, 0))
        return os.read(self._nsenter.stdout.fileno(), CHUNK) if ready else b""

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._nsenter.poll() is None

    def pause(self) -> None:
        """Let it do nothing until `go_on`."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """After `pause`: nsenter may have stopped with it."""
        for one in (self.pid, self._nsenter.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGCONT)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end and wait; kill it if it does not."""
        for last in (number, signal.SIGKILL):
            if self.runs:
                # One that is paused would never hear of it.
                self.go_on()
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, last)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._nsenter.wait(IN_TIME)
        # One that is stopped would keep its namespace from its end.
        self._nsenter.kill()
        for pipe in (self._nsenter.stdin, self._nsenter.stdout):
            if pipe is not None:
                pipe.close()


def text(command: Sequence[str], **variables: str) -> str:
    """What a program prints; the test fails if it does."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env={**os.environ, **variables}
    )
    assert done.returncode == 0, (
        f"{shlex.join(command)} ended with status {done.returncode}:\n{done.stdout}{done.stderr}"
    )
    return done.stdout


def child_of(parent: int) -> int:
    """The one child of a process, waited for."""
    end = time.monotonic() + IN_TIME
    while time.monotonic() < end:
        for found in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, IndexError):
                # pid (name) state ppid: the name may hold anything.
                if int(found.read_text().rpartition(")")[2].split()[1]) == parent:
                    return int(found.parent.name)
        time.sleep(0.01)
    raise AssertionError(f"process {parent} started nothing in {IN_TIME:.0f} s")


def _let_go(holder: subprocess.Popen[bytes]) -> None:
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.close()
    holder.stdout.close()
    try:
        holder.wait(IN_TIME)
    except subprocess.TimeoutExpired:
        holder.kill()
        holder.wait()
