"""The updown script as a process: no shell, a clean environment, its output kept short, and a limit to its time."""

from __future__ import annotations

import os
import select
import shlex
import signal
import time
from collections.abc import Callable
from pathlib import Path

from cygnet.connection.identity import printable
from cygnet.updown.call import PATH, Occasion, UpdownError, environment, full_verb

# Where the package puts it, or where the source has it.
PLACES = (Path("/usr/lib/ipsec/_updown"), Path(__file__).with_name("_updown"))
_SECONDS = 30.0
_OUTPUT = 4096
_LINES = 20


class Script:
    """Implements Updown. What the script prints goes to ``log``, as in FreeS/WAN."""

    def __init__(self, log: Callable[[str], None], seconds: float = _SECONDS, path: str = "") -> None:
        self._log, self._seconds, self._path = log, seconds, path

    def run(self, occasion: Occasion) -> None:
        command = command_of(occasion)
        facts = environment(occasion, self._path) if self._path else environment(occasion)
        where = f'"{occasion.connection.name}": {shlex.join(command)} at {full_verb(occasion)}'
        status, output = _execute(command, facts, where, self._seconds)
        lines = [" ".join(map(printable, line.split())) for line in output.splitlines() if line.strip()]
        for line in lines[-_LINES:]:
            self._log(f'"{occasion.connection.name}": {full_verb(occasion)} output: {line}')
        if status:
            how = f"exited with status {status}" if status > 0 else f"was ended by signal {-status}"
            raise UpdownError(f"{where} {how}: {lines[-1] if lines else 'it said nothing'}")


def clean() -> None:
    """Take away all firewall rules of our own script, also those of a daemon that died; raises UpdownError."""
    script = str(_ours())
    status, output = _execute([script, "clean"], {"PATH": PATH}, script, _SECONDS)
    if status:
        raise UpdownError(f"{script} clean: {' '.join(map(printable, output.split()))}")


def command_of(occasion: Occasion) -> list[str]:
    """The argument list: leftupdown=, or our own script, which ``ipsec _updown`` means too."""
    here = occasion.connection.here
    try:
        words = shlex.split(here.updown)
    except ValueError:
        raise UpdownError(f'"{occasion.connection.name}": {here.side}updown= has an open quote') from None
    if words and words[:2] != ["ipsec", "_updown"]:
        return words
    return [str(_ours()), *(words[2:] or (["iptables"] if here.firewall else []))]


def _ours() -> Path:
    return next((place for place in PLACES if place.exists()), PLACES[0])


def _execute(command: list[str], facts: dict[str, str], where: str, seconds: float) -> tuple[int, bytes]:
    """Exit status (negative: a signal) and the end of the output; in a session of its own, to be ended whole."""
    import subprocess

    try:
        process = subprocess.Popen(
            command,
            env=facts,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise UpdownError(f"{where} cannot be started: {error.strerror}") from error
    with process:
        output = process.stdout.fileno() if process.stdout else -1
        ended, heard = _watch(process.pid, output, seconds)
        if not ended:
            os.killpg(process.pid, signal.SIGKILL)
    if not ended:
        raise UpdownError(f"{where} took more than {seconds:g} seconds and was ended")
    return process.returncode, heard


def _watch(pid: int, output: int, seconds: float) -> tuple[bool, bytes]:
    """Whether the process ends in time, and its last output. Children that it leaves behind are not waited for."""
    deadline, heard = time.monotonic() + seconds, b""
    os.set_blocking(output, False)
    end, poll = os.pidfd_open(pid), select.poll()
    poll.register(end, select.POLLIN)
    poll.register(output, select.POLLIN)
    try:
        while (left := deadline - time.monotonic()) > 0:
            ready = [descriptor for descriptor, _ in poll.poll(1000 * left)]
            if output in ready:
                piece = _read(output)
                heard = (heard + piece)[-_OUTPUT:]
                if not piece:
                    poll.unregister(output)
            if end in ready:
                return True, (heard + _read(output))[-_OUTPUT:]
        return False, heard
    finally:
        os.close(end)


def _read(output: int) -> bytes:
    try:
        return os.read(output, 1 << 16)
    except BlockingIOError:
        return b""
