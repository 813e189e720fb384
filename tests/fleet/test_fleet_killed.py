"""A run that is killed loses nothing: at each point where something becomes durable, the next run goes on from there."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fleet_scene import HUB, SHOP1, SHOP2, SHOP3, Scene

from builder.settings import PROJECT

KILLED = 9
# What makes a difference on the disk.
ACTS = ("replace", "rename", "link", "unlink", "fsync", "rmdir", "mkdir")
FIRST = SHOP1.replace("rsa", "psk").replace("dhcp", "203.0.113.11/24")
MOVED = FIRST.replace("10.1.1.1", "10.1.11.1")
MAY_CHANGE = {"hub/tunnels.conf", "hub/spokes/shop1.conf", "shop1/tunnels.conf", "shop1/site.toml"}


def killed_before(scene: Scene, number: int) -> bool:
    """A run in a process of its own, which is gone before its act ``number``; False when it came to its end."""
    child = os.fork()
    if child == 0:
        acts = itertools.count()
        for name in ACTS:
            setattr(os, name, _deadly(getattr(os, name), acts, number))
        try:
            scene.run()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED


def _deadly(act: Callable[..., Any], acts: Iterator[int], number: int) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if next(acts) == number:
            os._exit(KILLED)
        return act(*args, **kwargs)

    return wrapped


def test_a_run_that_is_killed_at_any_point_is_finished_by_the_next(tmp_path: Path) -> None:
    """One box more, one that changed and one of before: what was there stays, what is made once is made once."""
    begin = Scene(tmp_path / "begin")
    begin.at.mkdir()
    begin.write(HUB, FIRST, SHOP2).run()
    for number in itertools.count():
        scene = Scene(tmp_path / str(number))
        subprocess.run(["cp", "-a", begin.at, scene.at], check=True)
        scene.write(HUB, MOVED, SHOP2, SHOP3)
        before = scene.state()
        killed = killed_before(scene, number)
        between = scene.state()
        assert {name for name in before if before[name] != between.get(name)} <= MAY_CHANGE
        # Whatever is there of a box says that all of it is there, and its key.
        if (scene.fleet / "shop3").exists():
            assert {"shop3/site.toml", "shop3/tunnels.conf", "keys/shop3.hub.psk"} <= between.keys()
        scene.run(key=None, new_key=False)
        end = scene.state()
        assert {name for name in between if name.startswith("keys/") and between[name] != end.get(name)} == set()
        assert end.keys() == before.keys() | {
            "shop3/site.toml", "shop3/tunnels.conf", "keys/shop3.hub.psk", "hub/spokes/shop3.conf",
        }  # fmt: skip
        assert not (scene.fleet / ".new").exists()
        assert "10.1.11.0/24" in end["hub/tunnels.conf"][1].decode()
        if not killed:
            break
    assert number > 15


def test_a_command_that_is_killed_while_keys_are_made_keeps_those(tmp_path: Path) -> None:
    scene = Scene(tmp_path).write("hub,,203.0.113.1/24,10.1.0.1/24,,")
    scene.run()
    spokes = [f"shop{n},hub,dhcp,10.2.{n}.1/24,rsa," for n in range(7)]
    scene.write("hub,,203.0.113.1/24,10.1.0.1/24,,", *spokes)
    command = [
        sys.executable, "-m", "invoke", "fleet", f"--table={tmp_path}/sites.csv", f"--to={scene.fleet}", "--jobs=2",
        f"--template={tmp_path}/site.toml.j2",
    ]  # fmt: skip
    keys: dict[str, bytes] = {}
    for wanted in (1, 4):
        with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL) as run:
            while run.poll() is None and len(list((scene.fleet / "keys").glob("*.rsa"))) < wanted:
                time.sleep(0.005)
            run.kill()
        now = {file.name: file.read_bytes() for file in (scene.fleet / "keys").glob("*.rsa")}
        assert keys.items() <= now.items()
        keys = now
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"8 boxes in {scene.fleet}: " in done.stdout
    assert keys.items() <= {file.name: file.read_bytes() for file in (scene.fleet / "keys").glob("*.rsa")}.items()
    assert len(list(scene.fleet.glob("*/site.toml"))) == 8
