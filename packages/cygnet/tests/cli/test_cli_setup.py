"""``ipsec setup``: with runit where its service is, with a daemon of its own elsewhere."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cygnet.cli import main, manual, service, setup
from cygnet.daemon.lock import Lock


@pytest.fixture(autouse=True)
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without runit, whoever runs the tests; nobody waits long."""
    monkeypatch.setattr(service, "SERVICE", tmp_path / "sv/ipsec")
    monkeypatch.setattr(service, "LINK", tmp_path / "service/ipsec")
    monkeypatch.setattr(service, "ROUTER", tmp_path / "forwarding")
    monkeypatch.setattr(service, "SECONDS_TO_STOP", 5.0)
    monkeypatch.setattr(service, "BY_HAND", tmp_path / "by-hand")
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.fixture
def base(tmp_path: Path) -> str:
    return str(tmp_path / "run/pluto")


@pytest.fixture
def running(base: str) -> Iterator[Lock]:
    lock = Lock(Path(base + ".pid"))
    Path(base + ".ctl").touch()
    yield lock
    lock.release()


def ipsec(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str]]:
    status = main(["setup", *words])
    output = capsys.readouterr()
    return status, (output.out + output.err).splitlines()


def options(tmp_path: Path) -> list[str]:
    (tmp_path / "ipsec.conf").write_text("version 2\n")
    (tmp_path / "ipsec.secrets").touch(0o600)
    files = ["--config", str(tmp_path / "ipsec.conf"), "--secretsfile", str(tmp_path / "ipsec.secrets")]
    ports = free_ports()
    return [*files, "--noklips", "--listen", "127.0.0.4", "--ikeport", ports[0], "--natikeport", ports[1]]


def free_ports() -> list[str]:
    made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for one in made:
        one.bind(("127.0.0.4", 0))
    ports = [str(one.getsockname()[1]) for one in made]
    for one in made:
        one.close()
    return ports


@pytest.fixture
def started(tmp_path: Path, base: str) -> Iterator[int]:
    """The process id of a daemon that ``ipsec setup`` started, whatever becomes of it."""
    began: list[int] = []
    spawn = service._spawn

    def remember(*words: object) -> int:
        began.append(spawn(*words))  # type: ignore[arg-type]
        return began[-1]

    service._spawn = remember
    try:
        service.start(base, options(tmp_path))
        yield began[0]
    finally:
        service._spawn = spawn
        for pid in began:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def test_a_daemon_of_its_own_starts_answers_and_ends(
    started: int, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given no runit, when the daemon is started,
    pid = service.pid(base)
    # then it is a process of its own session, whose log lies beside its socket;
    assert pid == started
    assert os.getsid(pid) != os.getsid(0)
    assert "Pluto initialized" in Path(base + ".log").read_text()
    assert ipsec(capsys, "status", "--ctlbase", base) == (0, ["IPsec running", f"pluto pid {pid}"])
    assert ipsec(capsys, "--start", "--ctlbase", base) == (
        1,
        ["ipsec_setup: Cygnet IPsec apparently already running, start aborted"],
    )
    # when it is stopped, nothing of it is left.
    assert ipsec(capsys, "stop", "--ctlbase", base) == (0, ["ipsec_setup: Stopping Cygnet IPsec..."])
    os.waitpid(pid, 0)
    assert ipsec(capsys, "--status", "--ctlbase", base) == (0, ["IPsec stopped"])


def test_a_daemon_that_does_not_start_is_no_success(
    tmp_path: Path, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.conf"
    broken.mkdir()
    status, lines = ipsec(capsys, "start", "--ctlbase", base, "--config", str(broken))
    assert status == 1
    assert lines[0] == "ipsec_setup: Starting Cygnet IPsec 0.1..."
    assert f"{base}.log says why" in lines[-1]


def test_a_daemon_that_hangs_is_ended_all_the_same(started: int, base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a daemon that hears nothing, when it is to stop, then it gets the signals, the last of them the hard one."""
    monkeypatch.setattr(service, "SECONDS_TO_STOP", 0.3)
    os.kill(started, signal.SIGSTOP)
    service.stop(base)
    assert os.waitstatus_to_exitcode(os.waitpid(started, 0)[1]) == -signal.SIGKILL


def test_stop_without_a_daemon_cleans_up_and_says_so(base: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(base).parent.mkdir()
    Path(base + ".pid").write_text("1\n")
    Path(base + ".ctl").touch()
    assert ipsec(capsys, "status", "--ctlbase", base)[0] == 1
    assert ipsec(capsys, "stop", "--ctlbase", base) == (
        1,
        [
            "ipsec_setup: Stopping Cygnet IPsec...",
            "ipsec_setup: stop ordered, but IPsec does not appear to be running!",
            "ipsec_setup: doing cleanup anyway...",
        ],
    )
    assert list(Path(base).parent.iterdir()) == []


def test_stop_takes_away_what_was_set_by_hand(
    base: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where something was: to ask the kernel costs seconds on a 486."""
    stopped: list[Path] = []
    monkeypatch.setattr(manual, "stop", lambda path, _log: stopped.append(path))
    ipsec(capsys, "stop", "--ctlbase", base, "--config", "/x/ipsec.conf")
    service.mark_by_hand()
    ipsec(capsys, "stop", "--ctlbase", base, "--config", "/x/ipsec.conf")
    assert (stopped, service.BY_HAND.exists()) == ([Path("/x/ipsec.conf")], False)


def test_status_says_if_the_daemon_takes_no_requests(
    base: str, running: Lock, capsys: pytest.CaptureFixture[str]
) -> None:
    assert running
    Path(base + ".ctl").unlink()
    status, lines = ipsec(capsys, "status", "--ctlbase", base)
    assert (status, lines[:3]) == (1, ["IPsec running", f"pluto pid {os.getpid()}", "but..."])


def test_only_the_superuser_starts_and_stops(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert ipsec(capsys, "start") == (1, ["ipsec setup: permission denied (must be superuser)"])


@pytest.mark.parametrize(
    ("runit", "command", "shown"),
    [
        (False, "start", ["ipsec pluto --ctlbase BASE"]),
        (False, "--restart", ["kill `cat BASE.pid`", "ipsec pluto --ctlbase BASE"]),
        (True, "stop", ["sv down LINK"]),
        (True, "restart", ["sv down LINK", "ln -s SERVICE LINK; sv up LINK"]),
    ],
)
def test_showonly_prints_and_does_nothing(
    runit: bool, command: str, shown: list[str], base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if runit:
        service.SERVICE.mkdir(parents=True)
    names = {"BASE": base, "LINK": str(service.LINK), "SERVICE": str(service.SERVICE)}
    for name, value in names.items():
        shown = [line.replace(name, value) for line in shown]
    assert ipsec(capsys, "--showonly", command, "--ctlbase", base) == (0, ["\t" + line for line in shown])
    assert not Path(base).parent.exists()


def test_with_runit_the_service_is_linked_and_told(
    base: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given the service's folder, when IPsec starts, then runit is told, and it stops by the same way."""
    service.SERVICE.mkdir(parents=True)
    service.LINK.parent.mkdir()
    (service.SERVICE / "supervise").mkdir()
    (service.SERVICE / "supervise/ok").touch()
    told: list[tuple[str, ...]] = []
    locks: list[Lock] = []

    def sv(*words: str) -> int:
        told.append(words)
        if "up" in words:
            locks.append(Lock(Path(base + ".pid")))
            Path(base + ".ctl").touch()
        elif locks:
            locks.pop().release()
        return 0

    monkeypatch.setattr(service, "_run", sv)
    assert ipsec(capsys, "start", "--ctlbase", base)[0] == 0
    assert service.LINK.readlink() == service.SERVICE
    assert ipsec(capsys, "restart", "--ctlbase", base)[0] == 0
    assert ipsec(capsys, "stop", "--ctlbase", base)[0] == 0
    # Down twice: the daemon, then what the service does after it.
    assert [words[-2] for words in told] == ["up", "down", "down", "up", "down", "down"]


def test_the_commands_are_all_there() -> None:
    assert {f"--{command}" for command in setup.COMMANDS} <= {name for name, _, _ in setup.OPTIONS}


def test_a_router_goes_on_without_ipsec_only_when_it_was_stopped(
    base: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a box that forwards nothing without its daemon, when IPsec is stopped for good, then it is told to."""
    service.ROUTER.touch()
    told: list[tuple[str, ...]] = []
    monkeypatch.setattr(service, "_run", lambda *words: told.append(words) or 0)
    monkeypatch.setattr(service, "start", lambda *_: None)
    ipsec(capsys, "restart", "--ctlbase", base)
    ipsec(capsys, "stop", "--showonly", "--ctlbase", base)
    assert told == []
    ipsec(capsys, "stop", "--ctlbase", base)
    assert told == [(str(service.ROUTER), "on")]
