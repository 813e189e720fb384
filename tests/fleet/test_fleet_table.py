"""A table of sites that is wrong: one sentence, with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleet_scene import HEADER, HUB, SHOP1, SHOP2

from builder.errors import CygnetError
from builder.fleet.table import read_table

HUBS = f"{HEADER}\n{HUB}\n"
MISTAKES = {
    "empty": ("", ": it is empty: its first line names the columns"),
    "no rows": (f"{HEADER}\n\n", ": there is no row in it"),
    "a column is missing": ("name,hub,address\n", ":1: the column lan is missing; needed are name, hub, address, lan"),
    "a column twice": ("name,hub,address,lan,lan\n", ":1: two columns are called lan"),
    "a column's name": ("name,hub,address,lan,Time zone\n", ":1: 'Time zone' is no name of a column"),
    "semicolons": ("name;hub;address;lan\n", ":1: its cells are separated by semicolons"),
    "a cell too many": (f"{HUBS}{SHOP1},x\n", ":3: 7 cells, and 6 columns"),
    "a cell too few": (f"{HUBS}shop1,hub,dhcp\n", ":3: 3 cells, and 6 columns"),
    "a quote is not closed": (f'{HUBS}"shop1,hub\n', ":3: this is no CSV: unexpected end of data"),
    "a line break in a cell": (f'{HUBS}shop1,hub,dhcp,10.1.1.1/24,rsa,"a\nb"\n', ":4: gateway has a line break"),
    "a name": (f"{HUBS}shop 1,hub,dhcp,10.1.1.1/24,rsa,\n", ":3: name: 'shop 1' is not a letter, then"),
    "a name from elsewhere": (f"{HUBS}../x,hub,dhcp,10.1.1.1/24,rsa,\n", ":3: name: '../x' is not a letter, then"),
    "a name that is taken": (f"{HUBS}keys,hub,dhcp,10.1.1.1/24,rsa,\n", ":3: no box can be called keys"),
    "a name twice": (f"{HUBS}{SHOP1}\n{SHOP1.upper()}\n".replace(",HUB,DHCP", ",hub,dhcp").replace("RSA", "rsa"),
                     ":4: another box is called SHOP1: sites.csv:3"),
    "an address": (f"{HUBS}shop1,hub,203.0.113.999/24,10.1.1.1/24,rsa,\n", ":3: address: '203.0.113.999/24' is not dhcp"),
    "an address without length": (f"{HUBS}shop1,hub,203.0.113.9,10.1.1.1/24,rsa,\n", ":3: address: '203.0.113.9' is not"),
    "an address twice": (f"{HUBS}{SHOP2}\nshop3{SHOP2[5:].replace('10.1.2', '10.1.3')}\n",
                         ":4: another box has the address 203.0.113.2: sites.csv:3"),
    "a network in place of an address": (f"{HUBS}shop1,hub,dhcp,10.1.1.0/24,rsa,\n", ":3: lan: '10.1.1.0/24' is not the box's"),
    "networks that overlap": (f"{HUBS}shop1,hub,dhcp,10.1.4.1/22,rsa,\nshop2,hub,dhcp,10.1.7.1/24,rsa,\n",
                              ":4: lan 10.1.7.0/24 overlaps 10.1.4.0/22 of shop1: sites.csv:3"),
    "a hub that is not there": (f"{HUBS}shop1,hup,dhcp,10.1.1.1/24,rsa,\n", ":3: hub: No box is called 'hup'; did you mean hub?"),
    "a hub with a hub": (f"{HUBS}{SHOP2}\nshop3,shop2,dhcp,10.1.3.1/24,rsa,\n", ":4: hub: shop2 has a hub itself"),
    "a hub that moves": (f"{HEADER}\nhub,,dhcp,10.1.0.1/24,,\n{SHOP1}\n", ":2: address: a hub needs a fixed one"),
    "a secret for one that moves": (f"{HUBS}shop1,hub,dhcp,10.1.1.1/24,psk,\n", ":3: auth: psk needs a fixed address"),
    "another method": (f"{HUBS}shop1,hub,dhcp,10.1.1.1/24,x509,\n", ":3: auth: 'x509' is not rsa or psk"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_sentence(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, expected = MISTAKES[case]
    monkeypatch.chdir(tmp_path)
    Path("sites.csv").write_text(text)
    with pytest.raises(CygnetError) as error:
        read_table(Path("sites.csv"))
    assert str(error.value).startswith(f"sites.csv{expected}")
    assert "\n" not in str(error.value)


ENCODINGS = {"utf-16": "sites.csv:1: its text is UTF-16", "latin-1": "sites.csv:2: its text is not UTF-8"}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_table_in_another_encoding_is_refused(encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sites.csv").write_bytes(f"{HEADER},town\n{HUB},Köln\n".encode(encoding))
    with pytest.raises(CygnetError, match=ENCODINGS[encoding]):
        read_table(Path("sites.csv"))


def test_the_mark_of_a_spreadsheet_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    file = tmp_path / "sites.csv"
    file.write_bytes(b"\xef\xbb\xbf" + HUBS.replace("\n", "\r\n").encode())
    assert list(read_table(file).rows) == ["hub"]


def test_no_table_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CygnetError, match="No such file or directory: --table names the CSV file"):
        read_table(tmp_path / "sites.csv")
