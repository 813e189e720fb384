"""The JSON schema for editors: published as it is made, right by itself, and of one mind with the reader."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cygnet_site.errors import SiteError
from cygnet_site.read import parse
from cygnet_site.schema import schema
from jsonschema import Draft202012Validator
from test_site_read import WRONG
from test_site_templates import SITES

PROJECT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted((PROJECT / "docs/examples/sites").glob("*.toml"))
HEAD = 'format = 1\nname = "shop1"\n'
# What no schema says: what holds between keys, and which of all addresses a machine can have.
BETWEEN = WRONG[next(i for i, (_, told) in enumerate(WRONG) if "is for a fixed address" in told) :]
ADDRESSES = ("127.0.0.1", "203.0.113.0/24", "203.0.113.255", "/33", "224.0.0.1", "113.256", "77.9-192.168.77.8")
MORE = ("10.0.0.1/8", "1.2.3", "70000", "averylongname1")


def mistakes(text: str) -> list[str]:
    return [error.message for error in Draft202012Validator(schema()).iter_errors(tomllib.loads(text))]


def test_what_is_published_is_what_is_made() -> None:
    """./inv site schema docs/site.schema.json writes it."""
    assert json.loads((PROJECT / "docs/site.schema.json").read_text()) == schema()


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("text", [*SITES.values(), *(file.read_text() for file in EXAMPLES)])
def test_what_the_reader_takes_it_takes(text: str) -> None:
    parse(text.encode(), Path("x.toml"))
    assert mistakes(text) == []


@pytest.mark.parametrize(("text", "told"), WRONG, ids=[told for _, told in WRONG])
def test_what_is_wrong_with_one_key_it_sees_too(text: str, told: str) -> None:
    seen = bool(mistakes(HEAD + text))
    within = (text, told) not in BETWEEN and not any(word in told for word in (*ADDRESSES, *MORE))
    assert seen == (within and "cannot be printed" not in told)


def test_it_says_what_a_key_is_for() -> None:
    wan = schema()["properties"]["wan"]
    assert wan["description"] == "the line to the Internet"
    assert wan["required"] == ["interface"] and wan["additionalProperties"] is False


def test_a_newer_format_is_an_error_of_both() -> None:
    text = 'format = 2\nname = "a"'
    assert mistakes(text)
    with pytest.raises(SiteError):
        parse(text.encode(), Path("x.toml"))


def keys(table: dict[str, Any], name: str = "") -> Iterator[tuple[str, str]]:
    """Each key of each table, as the table is written: [lan.lease]."""
    for key, value in table.get("properties", {}).items():
        inner = value.get("items", value)
        path = f"{name}.{key}" if name else key
        if inner.get("properties", {}).keys() - {"file"}:
            yield from keys(inner, path)
        elif key != "policies":
            yield name, key


def test_the_guide_names_every_key() -> None:
    said: dict[str, str] = {}
    table = ""
    for line in (PROJECT / "docs/site.md").read_text().splitlines():
        if line.startswith("| ") and (cells := line.split("|")):
            table = cells[1].strip(" `[]") or table
            said[table] = said.get(table, "") + cells[2]
    assert [(table, key) for table, key in keys(schema()) if f"`{key}" not in said.get(table, "")] == []
