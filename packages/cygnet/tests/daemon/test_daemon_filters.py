"""rp_filter=: the peer's packets are taken, though a route leads to the peer into a tunnel; afterwards it is as before."""

from __future__ import annotations

from pathlib import Path

import pytest
from cygnet.connection.connection import Setup
from cygnet.daemon import host
from cygnet.daemon.host import Machine
from cygnet.kernel.fake import FakeKernel

CASES = [
    # What all interfaces have, what ours has; rp_filter=; what ours has then.
    ("1", "1", 0, "2"),
    ("1", "0", 0, "2"),
    ("0", "1", 0, "0"),
    ("2", "1", 0, "2"),
    ("1", "2", 1, "1"),
    ("0", "0", 2, "2"),
    ("1", "1", None, "1"),
]


@pytest.mark.parametrize(("everywhere", "before", "wanted", "during"), CASES)
def test_the_reverse_path_filter_while_ipsec_runs(
    everywhere: str, before: str, wanted: int | None, during: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, setting in (("all", everywhere), ("eth0", before)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rp_filter").write_text(setting)
    monkeypatch.setattr(host, "FILTERS", tmp_path)
    monkeypatch.setattr(host.links, "create_interface", lambda *_: None)
    monkeypatch.setattr(host.links, "delete_interface", lambda _: None)
    machine = Machine(lambda _: None)
    machine.kernel = FakeKernel()
    machine.open(Setup(interfaces=(("ipsec0", "eth0"), ("ipsec1", "ppp0")), rp_filter=wanted))
    found = (tmp_path / "eth0/rp_filter").read_text()
    machine.close()
    assert (found, (tmp_path / "eth0/rp_filter").read_text()) == (during, before)
    assert (tmp_path / "all/rp_filter").read_text() == everywhere
