"""A conn while it is read: what was given, by the fields of Connection and End that it will set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cygnet.conf.error import ConfError
from cygnet.conf.parameters import CONN
from cygnet.conf.sections import Setting
from cygnet.conf.values import Scope
from cygnet.connection.connection import Connection


class Draft:
    """``values``: what was given, read; ``ends``: the same of left and right."""

    def __init__(self, name: str, where: str, settings: Mapping[str, Setting]) -> None:
        self.name = name
        self.where = where
        self.settings = settings
        self.values: dict[str, Any] = {}
        self.ends: dict[str, dict[str, Any]] = {"left": {}, "right": {}}

    def fault(self, key: str, reason: str) -> ConfError:
        """An error about a parameter, at its place; where it is not given, at the conn's."""
        if setting := self.settings.get(key):
            return ConfError(setting.where, f"{key}={setting.value[:80]}: {reason}")
        return ConfError(self.where, f"{key}: {reason}")

    def read(self, key: str, scope: Scope) -> Any:
        """The value of a parameter that is given."""
        try:
            return CONN[key].read(self.settings[key].value, scope)
        except ValueError as error:
            raise self.fault(key, str(error)) from None

    def store(self, key: str, value: Any) -> None:
        """Keep it under the field that it sets; several parameters may add to one field."""
        row = CONN[key]
        if "*" not in row.name:
            self.values[row.sets or key] = value
            return
        end = self.ends["left" if key.startswith("left") else "right"]
        if row.sets == "public_keys":
            end["public_keys"] = (*end.get("public_keys", ()), *([value.blob] if value.blob else []))
            end["keys_from_dns"] = end.get("keys_from_dns", False) or value.from_dns
        elif row.sets == "protocol":
            end["protocol"], end["port"] = value
        else:
            end[row.sets] = value

    def get(self, name: str) -> Any:
        """A field of the Connection to be, given or by default."""
        return self.values.get(name, Connection.__dataclass_fields__[name].default)
