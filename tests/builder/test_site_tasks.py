"""./inv site: begin a file, check it, look at what its box gets; mistakes are a sentence each, and secrets stay unseen."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import NoReturn

import pytest
from test_commands import inv

from builder import site_tasks
from builder.errors import CygnetError
from builder.settings import PROJECT

KINDS = ("branch-office", "hub", "road-warrior-gateway", "opportunistic-home")
SITE = """format = 1
name = "shop1"
[wan]
interface = "eth0"
address = "pppoe"
[wan.pppoe]
user = "a@isp"
password = { file = "password" }
[[lan]]
interface = "eth1"
address = "192.168.77.1/24"
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_text("hunter2\n")
    file = tmp_path / "shop1.toml"
    file.write_text(SITE)
    return file


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_each_kind_is_called_as_its_box(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "shop7.toml"
    site_tasks.run("new", str(file), "", kind[:4])
    assert capsys.readouterr().out == f"{file}: a {kind.replace('-', ' ')}. Edit it; then: ./inv site check {file}\n"
    example = (PROJECT / "docs/examples/sites" / f"{kind}.toml").read_text()
    assert file.read_text() == example.replace(f'name = "{kind}"', 'name = "shop7"')
    assert file.read_text() != example
    assert list(tmp_path.iterdir()) == [file]


def test_check_says_that_all_is_well_or_what_is_not(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site_tasks.run("check", str(site), "", "")
    assert capsys.readouterr().out == f"{site}: shop1 can be made of it\n"
    site.write_text(SITE + '[dns]\nservers = ["a"]\ndomain = "-"\n')
    with pytest.raises(CygnetError) as error:
        site_tasks.run("check", str(site), "", "")
    assert [line.partition(": ")[0] for line in str(error.value).splitlines()] == [f"{site}:13", f"{site}:14"]


def test_show_has_every_file_and_no_secret(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site_tasks.run("show", str(site), "", "")
    shown = capsys.readouterr().out
    assert "# /etc/hostname\nshop1\n" in shown
    assert "# /etc/cygnet/pppoe (mode 600): secret, 14 bytes\n" in shown
    assert "zone lan $LAN $LAN_ADDRESS\n" in shown
    assert "# /etc/cygnet/firewall.rules/rules.v4: made from the policy, " in shown
    assert "hunter2" not in shown and "COMMIT" not in shown


def test_diff_is_about_what_the_boxes_get(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "shop2.toml"
    other.write_text("# the same in other words\n" + SITE)
    site_tasks.run("diff", str(site), str(other), "")
    assert capsys.readouterr().out == f"{site} and {other} make the same box\n"
    other.write_text(SITE.replace("shop1", "shop2").replace("a@isp", "b@isp") + '[syslog]\nserver = "10.0.0.1"\n')
    site_tasks.run("diff", str(site), str(other), "")
    shown = capsys.readouterr().out.splitlines()
    assert "-shop1" in shown and "+shop2" in shown and "+SYSLOG=10.0.0.1" in shown
    assert "# /etc/cygnet/pppoe differs: secret, 14 bytes" in shown
    assert not [line for line in shown if "firewall" in line]
    other.write_text(SITE.replace('"pppoe"', '"dhcp"').partition("[wan.pppoe]")[0])
    site_tasks.run("diff", str(site), str(other), "")
    assert "# /etc/cygnet/pppoe is there in the first only: secret, 14 bytes" in capsys.readouterr().out


def test_the_schema_is_json(tmp_path: Path) -> None:
    site_tasks.run("schema", str(tmp_path / "schema.json"), "", "")
    assert json.loads((tmp_path / "schema.json").read_text())["title"] == "Cygnet site file"


MISTAKES = [
    (["chekc", "x.toml"], "error: No action of ./inv site is called 'chekc'; did you mean check?"),
    (
        ["new", "shop1.toml"],
        "error: --kind=: write one of branch-office, hub, opportunistic-home, road-warrior-gateway;",
    ),
    (["new", "shop1.toml", "--kind=hubb"], "error: --kind=hubb: write one of branch-office, hub,"),
    (["new", "shop_1.toml", "--kind=hub"], "error: shop_1.toml: the box cannot be called 'shop_1': letters, digits,"),
    (["new", "none/shop1.toml", "--kind=hub"], "error: none/shop1.toml: cannot be written: No such file or directory"),
    (["new", "README.md/shop1.toml", "--kind=hub"], "error: README.md/shop1.toml: cannot be written: Not a directory"),
    (["new", "docs/examples/sites/hub.toml", "--kind=hub"], "hub.toml is there already, and stays as it is: take"),
    (
        ["check", "docs/examples/sites/hub.toml", "--kind=hub"],
        "error: --kind=hub: only ./inv site new begins a file of",
    ),
    (["check", "none.toml"], "error: none.toml: there is no such file"),
    (["show", "README.md"], "error: README.md:3: this is no TOML: "),
    (["diff", "none.toml", "none.toml"], "error: none.toml: there is no such file"),
    (["diff", "none.toml"], "'site' did not receive required positional arguments: 'other'"),
    (["check"], "'site' did not receive required positional arguments: 'file'"),
]


@pytest.mark.parametrize(("words", "expected"), MISTAKES)
def test_a_mistake_is_one_sentence(tmp_path: Path, words: list[str], expected: str) -> None:
    done = inv(["site", *words], tmp_path)
    assert done.returncode == 1
    assert expected in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("new", "hub"), ("schema", "")])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, str]
) -> None:
    action, kind = words
    file = tmp_path / "shop1.toml"
    if action == "schema":
        file.write_text("of yesterday")
    before = {one: one.read_text() for one in tmp_path.iterdir()}

    def half(place: Path, text: str) -> NoReturn:
        place.open("w").write(text[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(CygnetError, match=f"^{file}: cannot be written: No space left on device$"):
        site_tasks.run(action, str(file), "", kind)
    assert {one: one.read_text() for one in tmp_path.iterdir()} == before


def test_two_files_are_for_diff_alone(tmp_path: Path) -> None:
    done = inv(["site", "check", "a.toml", "b.toml"], tmp_path)
    assert done.returncode == 1 and "No idea what 'b.toml' is!" in done.stderr
