"""The site file's JSON schema (2020-12), for editors: from the same classes that the reader walks over."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from cygnet_site.kinds import Kind, Listed
from cygnet_site.model import Named, Site, Table, Tables
from cygnet_site.read import key_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """Of the whole file."""
    return {"$schema": DIALECT, "title": "Cygnet site file", **_table(Site)}


def _table(of: type) -> dict[str, Any]:
    known = [one for one in fields(of) if one.metadata]
    required = [key_of(one) for one in known if one.default is MISSING and one.default_factory is MISSING]
    found: dict[str, Any] = {
        "type": "object",
        "properties": {
            key_of(one): {"description": one.metadata["meaning"], **_value(one.metadata["kind"])} for one in known
        },
        "additionalProperties": False,
    }
    return found | ({"required": required} if required else {})


def _value(kind: object) -> dict[str, Any]:
    match kind:
        case Kind() | Listed():
            return dict(kind.schema)
        case Table():
            return _table(kind.of)
        case Tables():
            return {"type": "array", "items": _table(kind.of), "maxItems": kind.most}
        case Named():
            names = kind.name.schema["pattern"]
            return {"type": "object", "patternProperties": {names: _value(kind.value)}, "additionalProperties": False}
    raise TypeError(kind)
