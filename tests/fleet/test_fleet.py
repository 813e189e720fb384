"""A fleet's life: made, run again, a row more, a row less, a row changed; both ends of each tunnel fit."""

from __future__ import annotations

import base64
import errno
import os
import shutil
import stat
import subprocess
import sys
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cygnet.conf import load, load_secrets
from cygnet.connection.connection import Connection, HostKind
from cygnet.connection.local import Local
from cygnet.connection.secret import Secrets
from fleet_scene import HUB, SHOP1, SHOP2, SHOP3, Scene, changed

from builder import sites
from builder.errors import CygnetError
from builder.fleet.table import read_table
from builder.settings import PROJECT

MORE = [f"more{n},hub,198.51.100.{n}/24,10.4.{n}.1/24,psk," for n in range(1, 6)]
OWN = {"hub": "203.0.113.1", "shop1": "198.51.100.77", "shop2": "203.0.113.2"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A hub with a spoke by RSA, whose address changes, and one by secret."""
    made = Scene(tmp_path_factory.mktemp("made")).write(HUB, SHOP1, SHOP2)
    made.run()
    return made


@pytest.fixture
def scene(made: Scene, tmp_path: Path) -> Scene:
    """A copy, for a test to do with as it likes."""
    shutil.copytree(made.at, tmp_path, dirs_exist_ok=True)
    return Scene(tmp_path)


def test_a_second_run_changes_nothing_and_asks_for_no_key(scene: Scene) -> None:
    before = scene.state()
    told = scene.run(key=None, new_key=False)
    assert changed(before, scene.state()) == []
    assert told.steps == []
    assert told.sentences == [f"3 boxes in {scene.fleet}: 0 new, 0 changed"]


def test_a_row_more_is_a_box_and_a_fragment_more(scene: Scene) -> None:
    before = scene.state()
    told = scene.write(HUB, SHOP1, SHOP2, SHOP3).run(key=None, new_key=False)
    assert changed(before, scene.state()) == [
        "hub/spokes/shop3.conf", "hub/tunnels.conf", "keys/shop3.hub.psk", "shop3/site.toml", "shop3/tunnels.conf",
    ]  # fmt: skip
    assert told.steps == ["shop3.hub.psk"]


def test_a_row_less_is_told_and_nothing_is_lost(scene: Scene) -> None:
    before = scene.state()
    told = scene.write(HUB, SHOP1).run()
    assert changed(before, scene.state()) == ["hub/tunnels.conf"]
    paths = " ".join(str(scene.fleet / name) for name in ("shop2", "keys/shop2.hub.psk", "hub/spokes/shop2.conf"))
    assert told.sentences[-1].endswith(f"shop2: the table has no use for 3 things that were made for it, which are kept; "
                                       f"they go by rm -r {paths}")  # fmt: skip
    scene.write(HUB, SHOP1, SHOP2).run()
    assert changed(before, scene.state("hub/tunnels.conf")) == ["hub/tunnels.conf"]
    assert scene.state()["hub/tunnels.conf"][1] == before["hub/tunnels.conf"][1]


def test_an_address_that_changes_changes_both_ends_and_no_key(scene: Scene) -> None:
    before = scene.state()
    told = scene.write(HUB, SHOP1, SHOP2.replace("203.0.113.2/", "203.0.113.9/")).run()
    assert changed(before, scene.state()) == [
        "hub/spokes/shop2.conf", "hub/tunnels.conf", "shop2/site.toml", "shop2/tunnels.conf",
    ]  # fmt: skip
    assert told.sentences == [f"3 boxes in {scene.fleet}: 0 new, 2 changed: hub, shop2"]


def conn(scene: Scene, box: str, name: str) -> Connection:
    """A conn as the daemon of a box reads it."""
    own = IPv4Address(OWN[box])
    local = Local({"eth0": [own]}, "eth0", IPv4Address("203.0.113.254"), own)
    file = scene.fleet / box / "ipsec.conf"
    file.write_text("version 2\nconfig setup\n    interfaces=%defaultroute\ninclude tunnels.conf\n")
    found = load(file, local)
    assert found.problems == []
    return found.connections[name]


def secrets(scene: Scene, box: str) -> Secrets:
    file = scene.fleet / box / "ipsec.secrets"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = load_secrets(file)
    assert list(found.problems) == []
    return found


@pytest.mark.parametrize("spoke", ["shop1", "shop2"])
def test_both_ends_of_a_tunnel_are_each_others(scene: Scene, spoke: str) -> None:
    scene.run(opened="all")
    here, there = conn(scene, spoke, spoke), conn(scene, "hub", spoke)
    assert (here.here.subnet, here.there.subnet) == (there.there.subnet, there.here.subnet)
    assert (here.here.id, here.there.id) == (there.there.id, there.here.id)
    assert here.auth_by is there.auth_by
    assert str(here.auto) != str(there.auto)
    mine, theirs = secrets(scene, spoke), secrets(scene, "hub")
    if spoke == "shop1":
        assert there.there.kind is HostKind.ANY
        assert mine.private[0].key.public.blob == there.there.public_keys[0]
        assert theirs.private[0].key.public.blob == here.there.public_keys[0]
        assert len(mine.private[0].key.sign_hash(b"x" * 32)) == 256
    else:
        assert mine.preshared[0].key == theirs.preshared[0].key
        assert len(mine.preshared[0].key) == 32


def test_a_box_is_what_a_site_file_says(scene: Scene) -> None:
    scene.run(opened="shop2")
    site = sites.read(scene.fleet / "shop2/site.toml")
    assert sites.problems(site) == []
    assert sites.render(site)["etc/ipsec.secrets"].content == (scene.fleet / "shop2/ipsec.secrets").read_bytes()


def test_secrets_lie_open_while_they_are_asked_for(scene: Scene) -> None:
    scene.run(opened="shop1,shop2")
    assert [str(file.relative_to(scene.fleet)) for file in sorted(scene.fleet.rglob("ipsec.secrets"))] == [
        "shop1/ipsec.secrets", "shop2/ipsec.secrets",
    ]  # fmt: skip
    before = scene.state()
    scene.run(opened="shop1,shop2")
    assert changed(before, scene.state()) == []
    told = scene.run()
    assert list(scene.fleet.rglob("ipsec.secrets")) == []
    assert "secrets that lay open were removed: 2" in told.sentences


def test_nothing_in_the_folder_shows_a_secret(scene: Scene) -> None:
    scene.run(opened="hub")
    found = secrets(scene, "hub")
    numbers = found.private[0].key.secret_numbers()
    private = [number for name, number in numbers.items() if name not in ("Modulus", "PublicExponent")]
    hidden = [found.preshared[0].key, *(number.to_bytes((number.bit_length() + 7) // 8, "big") for number in private)]
    shown = [form for secret in hidden for form in (secret, secret.hex().encode(), base64.b64encode(secret)[:-4])]
    opened = (scene.fleet / "hub/ipsec.secrets").read_bytes()
    assert sum(form in opened for form in shown) == len(hidden)
    scene.run()
    assert [name for name, (_, data) in scene.state().items() if any(form in data for form in shown)] == []
    assert [file.name for file in (scene.fleet / "keys").iterdir() if file.stat().st_mode & 0o077] == ["operator.pub"]


def test_public_halves_are_collected_for_hub_and_dns(scene: Scene) -> None:
    conf = (scene.fleet / "public.conf").read_text()
    key = conf.split("conn key-shop1\n    leftid=@shop1\n    leftrsasigkey=0s")[1].split()[0]
    zone = (scene.fleet / "public.zone").read_text().splitlines()
    assert f"shop1\tIN\tKEY\t0x4200 4 1 {key}" in zone
    assert f"shop1\tIN\tIPSECKEY\t10 0 2 . {key}" in zone
    assert any(line.startswith('1.113.0.203.in-addr.arpa.\tIN\tTXT\t"X-IPsec-Server(10)=203.0.113.1 ') for line in zone)
    assert "shop2" not in conf


def rename(scene: Scene) -> None:
    keys = scene.fleet / "keys"
    (keys / "hub.rsa").write_bytes((keys / "shop1.rsa").read_bytes())


def swap_public(scene: Scene) -> None:
    keys = scene.fleet / "keys"
    hub, shop = ((keys / f"{box}.rsa").read_text().split("\n") for box in ("hub", "shop1"))
    (keys / "hub.rsa").write_text("\n".join([*hub[:2], shop[2], *hub[3:]]))


def damage(scene: Scene) -> None:
    file = scene.fleet / "keys/shop2.hub.psk"
    file.write_text(file.read_text()[:-8])


def lose(scene: Scene) -> None:
    (scene.fleet / "keys/shop1.rsa").unlink()


def lose_pair(scene: Scene) -> None:
    (scene.fleet / "keys/shop2.hub.psk").unlink()


def lose_hub(scene: Scene) -> None:
    (scene.fleet / "keys/hub.rsa").unlink()


def other_version(scene: Scene) -> None:
    file = scene.fleet / "keys/shop1.rsa"
    file.write_text(file.read_text().replace("cygnet-sealed 1", "cygnet-sealed 2"))


ACCIDENTS = {
    "a key under another's name": (rename, "hub.rsa: it is another key's file: put it back to its own name"),
    "another's public half": (swap_public, "hub.rsa: it does not open: it was sealed for another key, or changed since"),
    "cut short": (damage, "shop2.hub.psk: it "),
    "of another version": (other_version, "shop1.rsa: it does not begin with cygnet-sealed 1"),
    "gone": (lose, "shop1.rsa is gone, and shop1 was made with it: take it from a backup, or remove "),
    "a pair's gone": (lose_pair, "shop2.hub.psk is gone, and shop2 was made with it"),
    "the hub's gone": (lose_hub, "hub.rsa is gone, and hub was made with it"),
}  # fmt: skip


@pytest.mark.parametrize("case", ACCIDENTS)
def test_a_sealed_key_that_cannot_be_used_is_told(scene: Scene, case: str) -> None:
    happen, expected = ACCIDENTS[case]
    happen(scene)
    with pytest.raises(CygnetError) as error:
        scene.run(opened="all")
    assert expected in str(error.value)
    assert list(scene.fleet.rglob("ipsec.secrets")) == [] or "open" in expected or "cut" in case


def test_only_the_operator_opens(scene: Scene) -> None:
    with pytest.raises(CygnetError, match="the passphrase is wrong, or the file was changed"):
        scene.run("another", opened="all")
    with pytest.raises(CygnetError, match="are sealed for another operator's key"):
        other = Scene(scene.at / "elsewhere")
        other.at.mkdir()
        other.write(HUB, SHOP1).run()
        scene.run(key=other.at / "operator.key", opened="all")
    with pytest.raises(CygnetError, match="--key names the operator's key, not --new-key"):
        scene.run(key=scene.at / "second.key", new_key=True)
    assert not (scene.at / "second.key").exists()
    assert stat.S_IMODE((scene.at / "operator.key").stat().st_mode) == 0o600


OPERATORS = {
    "no key yet": ({"key": None, "new_key": False}, "has no operator yet: --new-key=FILE makes the key"),
    "opened without": ({"key": None, "new_key": False, "opened": "all"}, "--open needs --key"),
    "an unknown box": ({"opened": "shop4"}, "No box is called 'shop4'; did you mean shop1?"),
    "a file that is none": ({"key": Path(__file__), "new_key": False}, "this is no operator's key"),
    "a file that is not there": ({"new_key": False}, "No such file or directory: --key names the operator's key"),
    "a file that is there": ({"key": Path(__file__), "new_key": True}, "it is there already: --key="),
}  # fmt: skip


@pytest.mark.parametrize("case", OPERATORS)
def test_a_mistake_about_the_operators_key_is_one_sentence(tmp_path: Path, case: str) -> None:
    changes, expected = OPERATORS[case]
    with pytest.raises(CygnetError) as error:
        Scene(tmp_path).write(HUB, SHOP1).run(**changes)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_a_pool_gives_each_key_once(tmp_path: Path) -> None:
    scene = Scene(tmp_path).write(HUB, SHOP1)
    pool = tmp_path / "pool"
    pool.mkdir()
    for name in "abc":
        subprocess.run(["openssl", "genrsa", "-out", f"{pool}/{name}.pem", "2048"], check=True, capture_output=True)
    taken = (pool / "a.pem").read_bytes()
    scene.run(pool=pool)
    assert [file.name for file in pool.iterdir()] == ["c.pem"]
    # As if killed between sealing and taking away: nobody else gets that key.
    (pool / "a.pem").write_bytes(taken)
    scene.write(HUB, SHOP1, SHOP3.replace("psk", "rsa")).run(pool=pool)
    assert list(pool.iterdir()) == []
    keys = (scene.fleet / "public.conf").read_text().split("leftrsasigkey=")[1:]
    assert len(set(keys)) == 3
    scene.run(opened="all", pool=pool)
    assert "Modulus" in (scene.fleet / "shop3/ipsec.secrets").read_text()


def test_what_is_no_key_is_not_taken_from_a_pool(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("no key")
    with pytest.raises(CygnetError, match=r"x\.pem: this is no RSA key in PEM without a passphrase"):
        Scene(tmp_path).write(HUB, SHOP1).run(pool=tmp_path)
    with pytest.raises(CygnetError, match="there is no such folder"):
        Scene(tmp_path).run(pool=tmp_path / "pool")


def test_two_runs_do_not_mix(scene: Scene) -> None:
    code = (
        "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(scene.fleet / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        with pytest.raises(CygnetError, match=r"another \./inv fleet works here: wait until it has ended"):
            scene.run()


def test_a_full_disk_is_one_sentence_and_the_next_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path).write(HUB, SHOP1, SHOP2)
    with monkeypatch.context() as patch:
        fsync, calls = os.fsync, iter(range(100))

        def full(file: int) -> None:
            if next(calls) == 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            fsync(file)

        patch.setattr(os, "fsync", full)
        with pytest.raises(CygnetError, match="No space left on device; what was finished is kept, the same command"):
            scene.run()
    kept = scene.state(".lock")
    assert sorted(kept)[0].startswith("keys/")
    scene.run()
    assert set(changed(kept, scene.state())).isdisjoint(kept)


def test_a_hub_has_no_more_spokes_than_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.fleet.tunnels.MOST_BYTES", 1000)
    with pytest.raises(
        CygnetError, match=r"sites\.csv:2: hub has more spokes than a box reads: give some of them another"
    ):
        Scene(tmp_path).write(HUB, SHOP2, SHOP3, *MORE).run()


def test_every_hub_has_its_own(tmp_path: Path) -> None:
    west = "west,,203.0.113.100/24,10.2.0.1/24,,203.0.113.254"
    scene = Scene(tmp_path).write(HUB, west, SHOP1, SHOP2.replace(",hub,", ",west,"), "alone,,dhcp,10.3.0.1/24,,")
    scene.run()
    assert [file.name for file in (scene.fleet / "hub/spokes").iterdir()] == ["shop1.conf"]
    assert [file.name for file in (scene.fleet / "west/spokes").iterdir()] == ["shop2.conf"]
    assert [file.name for file in (scene.fleet / "alone").iterdir()] == ["site.toml"]
    # West's tunnel is by a secret: it needs no key of its own.
    assert sorted(file.name for file in (scene.fleet / "keys").iterdir()) == [
        "hub.rsa", "operator.pub", "shop1.rsa", "shop2.west.psk",
    ]  # fmt: skip


def test_the_table_of_a_thousand_is_read_in_one_go(tmp_path: Path) -> None:
    rows = [f"shop{n},hub,dhcp,10.{2 + n // 250}.{n % 250}.1/24,rsa," for n in range(1000)]
    table = read_table(Scene(tmp_path).write(HUB, *rows).at / "sites.csv")
    assert len(table.spokes(table.rows["hub"])) == 1000


def test_a_user_is_told_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "invoke", "fleet", "--table=none.csv", "--template=t", f"--to={tmp_path}/fleet"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "error: none.csv: No such file or directory: --table names the CSV file with a row for each box\n"
    )
    assert not (tmp_path / "fleet").exists()
