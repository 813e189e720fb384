"""Templates: no cell can leave its string, and every error names the row and the template's line."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from fleet_scene import HUB, SHOP1, TEMPLATE, Scene
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import CygnetError
from builder.fleet import template as templates


def rendered(text: str, folder: Path, **values: object) -> templates.Rendered:
    (folder / "t.j2").write_text(text)
    return templates.render(templates.load(folder / "t.j2"), "sites.csv:2", values)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_cell_is_a_value_and_nothing_else(tmp_path_factory: pytest.TempPathFactory, cell: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    text = 'a = {{ cell }}\nb = "x {{ cell | inside }} y"\nc = """{{ cell | inside }}"""\nd = {{ [cell] }}\n'
    assert tomllib.loads(rendered(text, folder, cell=cell).text) == {
        "a": cell, "b": f"x {cell} y", "c": cell, "d": [cell],
    }  # fmt: skip


VALUES = {
    "a number": ("a = {{ '7' | int }}", {"a": 7}),
    "a truth": ("a = {{ 'yes' == 'yes' }}", {"a": True}),
    "parts put together": ('a = {{ "eth" ~ 1 }}', {"a": "eth1"}),
    "a list": ("a = {{ '9.9.9.9 1.1.1.1'.split() }}", {"a": ["9.9.9.9", "1.1.1.1"]}),
    "a table": ("a = {{ {'file': 'x', 'a b': 1} }}", {"a": {"file": "x", "a b": 1}}),
    "an address": ("a = {{ '10.1.7.1/24' | nth(100) }}", {"a": "10.1.7.100"}),
    "quoted once": ("a = {{ 'x' | toml }}", {"a": "x"}),
    "TOML of a macro": ("{% macro m() %}a = 1{% endmacro %}\n{{ m() | raw }}", {"a": 1}),
}


@pytest.mark.parametrize("case", VALUES)
def test_values_come_out_as_toml(case: str, tmp_path: Path) -> None:
    text, expected = VALUES[case]
    assert tomllib.loads(rendered(text, tmp_path).text) == expected


def test_each_line_knows_where_it_came_from(tmp_path: Path) -> None:
    text = "one\n{% if true %}\ntwo\n{% endif %}\n{% for i in range(2) %}\nthree {{ i }}\n{% endfor %}\nfour\n"
    made = rendered(text, tmp_path)
    origins = {line: made.origin(number) for number, line in enumerate(made.text.splitlines(), 1)}
    assert origins == {"one": 1, "two": 3, "three 0": 6, "three 1": 6, "four": 8}


MISTAKES = {
    "a column that is not there": ("{{ row.name }}", "{{ row.nam }}", 2, "No column is called 'nam'; did you mean name?"),
    "a word that is not there": ("{{ row.name }}", "{{ nam }}", 2, "'nam' is undefined"),
    "no hub": ("{{ row.name }}", "{{ hub.name }}", 2, "'None' has no attribute 'name'"),
    "no such filter": ("{{ row.name }}", "{{ row.name | upperr }}", 2, "No filter named 'upperr'."),
    "not closed": ("{% endif %}\n", "", 13, "Unexpected end of template"),
    "no address of a machine": ("{{ row.name }}", "{{ row.lan | nth(255) }}", 2, "10.1.0.0/24 has no address 255"),
    "no network": ("{{ row.name }}", "{{ row.name | nth(5) }}", 2, "'hub' does not appear to be an IPv4 or IPv6"),
    "not a value": ("{{ row.name }}", "{{ hub }}", 2, "'None' is no text, number, list or table"),
    "no TOML": ("format = 1", "format = ", 1, "this is no TOML"),
    "an unknown key": ('interface = "eth1"', 'interface = "eth1"\nadress = 1', 11, "[lan] has no key adress; did you mean address?"),
    "behind lines that are left out": ("[[lan]]", "[[lan]]\nvlan = 5000", 10, "lan.vlan: 5000 is not a VLAN"),
    "another name": ("{{ row.name }}", '"box"', 2, "the box is called box here, and hub in the table"),
    "another address": ("{{ row.address }}", '"203.0.113.9/24"', 5, "its tunnels are to 203.0.113.1"),
    "another network": ("{{ row.lan }}", '"10.9.0.1/24"', 9, "no LAN of it is 10.1.0.0/24"),
    "no tunnels": ("{{ ipsec.files }}", "[]", 12, "its tunnels are missing: write files = {{ ipsec.files }}"),
    "a time zone": ("[wan]", 'timezone = "Europe/Viena"\n[wan]', 3, "Europe/Viena"),
    "a rule": ("[ipsec]", '[firewall]\nextra = """\n\nallow lan nowhere"""\n[ipsec]', 15, "nowhere"),
    "a file that is not there": ("[ipsec]", '[ssh]\nkey-files = ["ops.pub"]\n[ipsec]', 13, "there is no such file"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_names_the_row_and_the_line_of_the_template(case: str, tmp_path: Path) -> None:
    old, new, line, expected = MISTAKES[case]
    assert TEMPLATE.count(old) == 1
    scene = Scene(tmp_path).write(HUB, SHOP1, template=TEMPLATE.replace(old, new))
    with pytest.raises(CygnetError) as error:
        scene.run()
    row = "" if "closed" in case or "filter" in case else f"{tmp_path}/sites.csv:2: "
    assert str(error.value).startswith(f"{row}{tmp_path}/site.toml.j2:{line}: ")
    assert expected in str(error.value)
    assert ".new" not in str(error.value)
    assert [name for name in scene.state() if name != ".lock"] == []
    assert not (tmp_path / "operator.key").exists()


def test_no_template_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CygnetError, match="there is no such file: --template names"):
        templates.load(tmp_path / "site.toml.j2")
