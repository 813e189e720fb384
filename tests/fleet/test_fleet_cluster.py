"""Keys made on a Dask cluster: of two workers, which have nothing of Cygnet and see no key but those that they make."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import distributed
import pytest
from fleet_scene import HUB, PASSPHRASE, Scene, changed

from builder.errors import CygnetError
from builder.fleet import spread
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
