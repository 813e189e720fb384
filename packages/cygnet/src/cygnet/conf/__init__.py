"""ipsec.conf(5) and ipsec.secrets(5): text in, Configuration and Secrets out; every error says file:line and why.

Light to import: the readers come with the first use of their names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cygnet.conf.error import ConfError

if TYPE_CHECKING:
    from cygnet.conf.configuration import Configuration, load
    from cygnet.conf.secrets import load_secrets

__all__ = ["ConfError", "Configuration", "load", "load_secrets"]


def __getattr__(name: str) -> object:
    match name:
        case "Configuration" | "load":
            from cygnet.conf import configuration

            return getattr(configuration, name)
        case "load_secrets":
            from cygnet.conf.secrets import load_secrets

            return load_secrets
    raise AttributeError(name)
