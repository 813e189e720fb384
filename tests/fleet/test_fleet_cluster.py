"""Keys made on a Dask cluster: of two workers, which have nothing of Cygnet and see no key but those that they make."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import distributed
import pytest
from fleet_scene import HUB, PASSPHRASE, Scene, Told, changed

from builder.errors import CygnetError
from builder.fleet import spread
from builder.fleet.fleet import fleet
from builder.fleet.keys import Order, make
from builder.fleet.operator import new_key
from builder.fleet.sealed import parse

SPOKES = [f"shop{n},hub,dhcp,10.2.{n}.1/24,rsa," for n in range(9)]


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        yield cluster.scheduler_address


def test_a_fleet_made_on_a_cluster_is_one_like_any_other(scheduler: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path).write(HUB, *SPOKES)
    told = scene.run(scheduler=scheduler)
    assert len(told.steps) == 10
    before = scene.state()
    scene.run()
    assert changed(before, scene.state()) == []
    scene.run(opened="shop3")
    assert "Modulus" in (scene.fleet / "shop3/ipsec.secrets").read_text()
    with distributed.Client(scheduler, set_as_default=False) as client:
        did = client.run(lambda dask_worker: dask_worker.state.executed_count)
        knows = client.run(lambda: [name for name in sys.modules if name.startswith(("builder", "cygnet"))])
    assert len(did) == 2 and all(did.values())
    assert list(knows.values()) == [[], []]


def test_what_comes_back_is_sealed(scheduler: str, tmp_path: Path) -> None:
    operator = new_key(tmp_path / "operator.key", lambda _: PASSPHRASE)
    public = operator.public_key().public_bytes_raw()
    orders = [Order(f"shop{n}.hub.psk", public) for n in range(3)]
    made = list(spread.on_cluster(make, orders, scheduler))
    assert sorted(one.file for one in made) == [order.file for order in orders]
    secrets = {parse(one.data).open(operator) for one in made}
    assert len(secrets) == 3


def test_a_cluster_that_is_not_there_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "PATIENCE", 1)
    scene = Scene(tmp_path).write(HUB, *SPOKES)
    for address in ("tcp://127.0.0.1:9", "nonsense"):
        with pytest.raises(
            CygnetError, match=rf"--scheduler={address}: .*\. What was made until then is kept"
        ) as error:
            scene.run(scheduler=address)
        assert "\n" not in str(error.value)
    scene.run(jobs=2)
    assert len(list(scene.fleet.glob("*/site.toml"))) == 10


class Machines:
    """A scheduler and two workers, each a process as docs/fleet.md starts it."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        self.scheduler = self._start("dask_scheduler", "--host=127.0.0.1", f"--port={port}")
        self.workers = [self._start("dask_worker", self.address, "--nthreads=1", "--no-nanny") for _ in range(2)]

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def _start(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{program}", *words, "--no-dashboard"]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)


class Killing(Told):
    """Kills a process of the cluster as soon as a key has come."""

    def __init__(self, victim: subprocess.Popen[bytes]) -> None:
        super().__init__()
        self._victim = victim

    def finished(self, name: str, seconds: float) -> None:
        super().finished(name, seconds)
        if len(self.steps) == 1:
            self._victim.kill()


@pytest.fixture
def machines() -> Iterator[Machines]:
    made = Machines()
    yield made
    made.end()


def test_a_worker_that_dies_is_replaced(machines: Machines, tmp_path: Path) -> None:
    scene = Scene(tmp_path).write(HUB, *SPOKES)
    told = Killing(machines.workers[0])
    fleet(scene.wanted(scheduler=machines.address), told, lambda _: PASSPHRASE)
    assert len(told.steps) == 10
    assert len(list(scene.fleet.glob("*/site.toml"))) == 10


def test_a_scheduler_that_dies_takes_no_key_along(
    machines: Machines, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(tmp_path).write(HUB, *(f"shop{n},hub,dhcp,10.2.{n}.1/24,rsa," for n in range(30)))
    # Distributed's own words go past pytest.
    logging.getLogger("distributed.client").addHandler(caplog.handler)
    with pytest.raises(CygnetError, match=rf"^--scheduler={machines.address}: the scheduler has gone\. What was made"):
        fleet(scene.wanted(scheduler=machines.address), Killing(machines.scheduler), lambda _: PASSPHRASE)
    logging.getLogger("distributed.client").removeHandler(caplog.handler)
    assert caplog.messages == []
    before = scene.state()
    assert any(name.endswith(".rsa") for name in before)
    scene.run(new_key=False)
    after = scene.state()
    assert [name for name in before if name.startswith("keys/") and before[name] != after[name]] == []
    assert len(list(scene.fleet.glob("*/site.toml"))) == 31
