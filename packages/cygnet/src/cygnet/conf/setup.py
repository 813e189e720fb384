"""`config setup` of ipsec.conf(5) into Setup. A wrong line is a problem, and the default takes its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cygnet.conf.error import Problems
from cygnet.conf.parameters import SETUP
from cygnet.conf.sections import Setting
from cygnet.conf.values import Scope
from cygnet.connection.connection import Setup


def read_setup(settings: Mapping[str, Setting], scope: Scope, series: int, problems: Problems) -> dict[str, Any]:
    """What is given, and defaults that depend on this box or on the series, by parameter."""
    values: dict[str, Any] = {"interfaces": SETUP["interfaces"].read(SETUP["interfaces"].default, scope)}
    if series == 1:
        values |= {key: row.read(row.old, scope) for key, row in SETUP.items() if row.old}
    for key, setting in settings.items():
        try:
            values[key] = SETUP[key].read(setting.value, scope)
        except ValueError as error:
            problems.note(f"{setting.where}: {key}={setting.value[:80]}: {error}; the line is ignored")
    return values


def make_setup(values: Mapping[str, Any], ignored: dict[str, str]) -> Setup:
    """The Setup of what was read."""
    fields = {SETUP[key].sets: value for key, value in values.items() if SETUP[key].sets}
    return Setup(**fields, ignored=ignored)
