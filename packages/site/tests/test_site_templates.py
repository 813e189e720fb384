"""Templates become Python for the box, and say there what Jinja2 says where boxes are made."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import jinja2
import pytest
from cygnet_site import fill, read_site
from cygnet_site.files import POLICY
from cygnet_site.firewall import policy_text
from cygnet_site.model import Site
from cygnet_site.render import render

HERE = Path(__file__).resolve()
EXAMPLES = sorted((HERE.parents[3] / "docs/examples/sites").glob("*.toml"))
EVERYTHING = """
format = 1
name = "shop1"
[wan]
interface = "eth0"
address = "192.0.2.2/24"
gateway = "192.0.2.1"
[[lan]]
interface = "eth1"
address = "192.168.77.1/24"
dhcp = "192.168.77.100-192.168.77.199"
[[lan.lease]]
mac = "52:54:00:12:34:56"
address = "192.168.77.10"
[[lan.lease]]
mac = "52:54:00:12:34:57"
address = "192.168.77.11"
name = "printer"
[[lan]]
interface = "eth2"
name = "guest"
address = "10.0.0.1/8"
[dns]
servers = ["192.0.2.3", "192.0.2.4"]
domain = "a.example"
[syslog]
server = "192.0.2.5"
[ssh]
from = ["198.51.100.0/24"]
"""
SITES = {"everything": EVERYTHING, "nothing": 'format = 1\nname = "a"\n[ntp]\noff = true'}


def compiler() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compile_templates", HERE.parents[1] / "compile_templates.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compiled(folder: Path = fill.TEMPLATES) -> ModuleType:
    module = ModuleType(fill.COMPILED)
    exec(compiler().module(folder, fill.OPTIONS), module.__dict__)  # noqa: S102 - that is what the box does with it
    return module


@pytest.fixture
def on_box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    def now() -> None:
        monkeypatch.setitem(sys.modules, fill.COMPILED, compiled())
        monkeypatch.setitem(sys.modules, "jinja2", None)
        fill._fillers.cache_clear()

    yield now
    fill._fillers.cache_clear()


def same(site: Site, on_box: Callable[[], None], made: Callable[[Site], object]) -> None:
    here = made(site)
    on_box()
    assert made(site) == here


@pytest.mark.parametrize("name", SITES)
def test_a_box_renders_what_a_build_machine_renders(tmp_path: Path, name: str, on_box: Callable[[], None]) -> None:
    file = tmp_path / "a.toml"
    file.write_text(SITES[name])
    same(read_site(file), on_box, render)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_a_box_renders_the_policies_of_the_examples(example: Path, on_box: Callable[[], None]) -> None:
    same(read_site(example), on_box, lambda site: (POLICY, str(policy_text(site))))


def test_a_name_that_is_not_there_is_an_error_on_both(tmp_path: Path) -> None:
    (tmp_path / "a.j2").write_text("{{ site.nmae }}")
    (tmp_path / "b.j2").write_text("{% if stie %}x{% endif %}")
    functions = compiled(tmp_path).TEMPLATES
    with pytest.raises(AttributeError):
        functions["a"](site=object())
    with pytest.raises(KeyError):
        functions["b"](site=object())
    with pytest.raises(jinja2.UndefinedError):
        fill.fill("TZ", zoen="x")


@pytest.mark.parametrize(
    "text", ["{{ a | upper }}", "{% set a = 1 %}", "{{ a() }}", "{{ loop }}{% macro m() %}{% endmacro %}"]
)
def test_what_the_compiler_does_not_know_ends_the_build(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.j2").write_text(f"\n{text}")
    with pytest.raises(SystemExit, match="line 2: compile_templates.py knows no"):
        compiler().module(tmp_path, fill.OPTIONS)
