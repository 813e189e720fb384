"""Policy groups of FreeS/WAN 2.x: files of networks under ipsec.d/policies, and the conns that they make.

A conn with right=%group or right=%opportunisticgroup is a pattern: each network in the file of its name makes a conn
NAME#NETWORK. The implicit ones (block, clear, ...) are there as soon as their file is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

from cygnet.conf.error import ConfError, Problems
from cygnet.conf.text import Files, without_comment
from cygnet.connection.connection import Connection, HostKind
from cygnet.connection.selector import Network

FOLDER = Path("ipsec.d/policies")
MOST_NETWORKS = 10_000
KINDS = {HostKind.GROUP: HostKind.ADDRESS, HostKind.OPPORTUNISTIC_GROUP: HostKind.OPPORTUNISTIC}


def networks(file: Path, problems: Problems) -> list[Network]:
    """What stands in a file of a group, in its order; what is no network is a problem."""
    found: dict[Network, None] = {}
    try:
        for line in Files(problems).lines(file):
            for word in without_comment(line.text).split():
                if len(found) >= MOST_NETWORKS:
                    raise ConfError(
                        line.where, f"a group has {MOST_NETWORKS} networks at the most; the rest is left out"
                    )
                try:
                    found[ip_network(word)] = None
                except ValueError as error:
                    problems.note(f"{line.where}: {error}; write addresses as 192.0.2.0/24")
    except ConfError as error:
        problems.note(str(error))
    return list(found)


def members(pattern: Connection, folder: Path, problems: Problems) -> Iterator[Connection]:
    """The conns that a pattern makes."""
    file = folder / FOLDER / pattern.name
    here = pattern.here.selector
    for network in networks(file, problems) if file.exists() else ():
        if here is None or here.network.version == network.version:
            there = replace(pattern.there, kind=KINDS[pattern.there.kind], subnet=network)
            yield replace(pattern, name=f"{pattern.name}#{network}", there=there)
