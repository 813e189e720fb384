"""A conn that is keyed by hand, ready for the kernel: SPIs, keys, SAs and policies out of its parameters.

The numbers are those of ipsec_manual(8) and of "CONN PARAMETERS: MANUAL KEYING" in ipsec.conf(5), so that a FreeS/WAN
box at the other end has the same. A key is never shown, whatever is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cygnet.conf import ConfError, proposals
from cygnet.conf.sections import Setting
from cygnet.conf.values import to_data
from cygnet.connection.connection import Connection, Type
from cygnet.connection.proposal import ChildProposal
from cygnet.crypto.transforms import CIPHERS, INTEGRITIES, WEAK
from cygnet.kernel import ours
from cygnet.kernel.policy import Policy
from cygnet.kernel.sa import Sa
from cygnet.tunnel.associations import inbound_sas, outbound_sas
from cygnet.tunnel.child import ChildSa, Leg
from cygnet.tunnel.policies import protect_inbound, protect_outbound, shunt
from cygnet.tunnel.registry import Registry
from cygnet.tunnel.route import SHUNTS, Route, span_of_child, span_of_connection

SPI = re.compile(r"0[xX][0-9a-fA-F]{1,8}")
# A reqid of manual keying is the SPI with this bit.
SPIS = range(0x100, 0x80000000)
LARGEST_WINDOW = 4096
# What the two directions are called, and what their first number is under spibase=.
FIRST = {"right": 0, "left": 1}


@dataclass(frozen=True)
class Keyed:
    """``route``: what it is for, and its numbers. ``suites``: by protocol. ``sas``: the outgoing ones first."""

    route: Route
    suites: Mapping[str, ChildProposal]
    sas: tuple[Sa, ...]

    @property
    def name(self) -> str:
        """Of the conn."""
        return self.route.connection.name

    @property
    def protecting(self) -> list[Policy]:
        """Its policies when it is up; of a shunt what it is. What comes in goes first."""
        route, mark, type_ = self.route, self.route.connection.mark, self.route.connection.type
        if type_ in SHUNTS:
            return as_manual(shunt(route.span, type_, route.if_id, mark))
        numbers = (route.reqid, route.if_id, mark)
        return as_manual(protect_inbound(route.span, *numbers) + protect_outbound(route.span, *numbers))

    @property
    def resting(self) -> list[Policy]:
        """When it is only routed: what would go, and what pretends to come, is dropped."""
        return as_manual(shunt(self.route.span, Type.DROP, self.route.if_id, self.route.connection.mark))

    @property
    def weak(self) -> list[str]:
        """Names of weak algorithms."""
        used = [word for suite in self.suites.values() for word in (suite.encryption, suite.integrity)]
        return [word for word in used if word in WEAK]


def as_manual(policies: list[Policy]) -> list[Policy]:
    """Beside each number of the daemon's is one of manual keying."""
    return [replace(policy, priority=policy.priority + 1) for policy in policies]


def keyed(connection: Connection, settings: Mapping[str, Setting], registry: Registry) -> Keyed:
    """``settings``: of Configuration.manual. ``registry``: knows the interfaces. Raises CygnetError."""
    span = span_of_connection(connection)
    if span is None:
        raise ConfError(connection.where, "a conn keyed by hand needs the addresses of both ends")
    route = registry.find(connection, "", span)
    if connection.type in SHUNTS:
        return Keyed(route, {}, ())
    reader = _Reader(connection, settings)
    suites = reader.suites()
    legs = tuple(reader.legs(suites))
    child = ChildSa(0, connection, span.local, span.remote, span.mode, legs, span.ours, span.theirs, lifetime=0)
    route = replace(route, span=span_of_child(child), reqid=ours.MANUAL_REQIDS.start + reader.spi_of_conn())
    windows = {protocol: reader.window(protocol) for protocol in suites}
    sas = outbound_sas(child, route.reqid, route.if_id) + inbound_sas(child, route.reqid, route.if_id)
    return Keyed(route, suites, tuple(replace(sa, replay_window=windows[sa.key.protocol]) for sa in sas))


class _Reader:
    """The parameters of one conn; a value that cannot be used is said with its place."""

    def __init__(self, connection: Connection, settings: Mapping[str, Setting]) -> None:
        self.connection, self.settings = connection, settings

    def fault(self, key: str, reason: str) -> ConfError:
        where = self.settings[key].where if key in self.settings else self.connection.where
        return ConfError(where, f"{key}: {reason}")

    def suites(self) -> dict[str, ChildProposal]:
        """Of esp= and ah=, the innermost first. ESP without a key for integrity is for within AH only."""
        found = {protocol: self._suite(protocol) for protocol in ("esp", "ah") if protocol in self.settings}
        if not found:
            raise ConfError(self.connection.where, "it needs esp= or ah= with one algorithm, such as esp=aes-sha2_256")
        if "esp" in found and not self._given("espauthkey"):
            found["esp"] = replace(found["esp"], integrity="")
            if "ah" not in found:
                raise self.fault("espauthkey", "it is missing: encryption without integrity is no protection")
        return found

    def _suite(self, protocol: str) -> ChildProposal:
        try:
            return one_suite(self.settings[protocol].value, protocol)
        except ValueError as error:
            raise self.fault(protocol, str(error)) from None

    def legs(self, suites: dict[str, ChildProposal]) -> Iterator[Leg]:
        """The protocols with their SPIs and keys: what comes in is named after the side that is this box."""
        sides = (self.connection.here.side, self.connection.there.side)
        for protocol, suite in suites.items():
            spi_in, spi_out = (self._spi(side, protocol, "esp" in suites) for side in sides)
            key_in, key_out = (self._keys(side, protocol, suite) for side in sides)
            names = (suite.encryption, suite.integrity)
            yield Leg(protocol, spi_in, spi_out, *names, key_in, key_out, suite.key_bits // 8)

    def spi_of_conn(self) -> int:
        """Of spi= or spibase=."""
        given = [key for key in ("spi", "spibase") if key in self.settings]
        if len(given) != 1:
            raise ConfError(self.connection.where, "it needs spi= or spibase=, one of them, such as spi=0x200")
        number = self._hex(given[0])
        if given == ["spibase"] and number % 16:
            raise self.fault("spibase", "its last digit must be 0, as in 0x200")
        return number

    def _spi(self, side: str, protocol: str, with_esp: bool) -> int:
        """Of the SA towards a side: the tunnel comes first, then ESP, then AH, where each of them is."""
        for key in (f"{side}{protocol}spi", f"{side}espspi" if not with_esp else ""):
            if key in self.settings:
                return self._hex(key)
        place = int(self.connection.type is Type.TUNNEL) + int(protocol == "ah" and with_esp)
        return self.spi_of_conn() + (FIRST[side] + 2 * place if "spibase" in self.settings else 0)

    def _hex(self, key: str) -> int:
        text = self.settings[key].value
        if not SPI.fullmatch(text) or int(text, 16) not in SPIS:
            raise self.fault(key, f"{text[:20]} is no SPI: write 0x100 to 0xfff, or up to 0x{SPIS[-1]:x}")
        return int(text, 16)

    def window(self, protocol: str) -> int:
        """Without, there is none: who starts anew would be taken for a replay (RFC 4303, section 3.3.3)."""
        key = f"{protocol}replay_window"
        text = self.settings[key].value if key in self.settings else "0"
        if not text.isdecimal() or int(text) > LARGEST_WINDOW:
            raise self.fault(key, f"it is a number from 0 to {LARGEST_WINDOW}")
        return int(text)

    def _keys(self, side: str, protocol: str, suite: ChildProposal) -> bytes:
        """Of the SA towards a side: cipher, then integrity."""
        key, name = b"", "ahkey" if protocol == "ah" else "espauthkey"
        if suite.encryption:
            key += self._key(side, "espenckey", suite.key_bits, suite.encryption)
        if suite.integrity:
            key += self._key(side, name, 8 * INTEGRITIES[suite.integrity].size, suite.integrity)
        return key

    def _given(self, name: str) -> bool:
        return any(key in self.settings for key in (name, f"left{name}", f"right{name}"))

    def _key(self, side: str, name: str, bits: int, algorithm: str) -> bytes:
        key = f"{side}{name}" if f"{side}{name}" in self.settings else name
        if key not in self.settings:
            missing = f"{side}{name}" if self._given(name) else name
            raise self.fault(missing, f"it is missing, and {algorithm} needs it: ipsec ranbits {bits} makes one")
        file = Path(self.settings[key].where.rpartition(":")[0])
        if file.stat().st_mode & 0o077:
            raise self.fault(key, f"others may read this file, and there is a key in it: chmod 600 {file}")
        try:
            return key_bytes(self.settings[key].value, bits, algorithm)
        except ValueError as error:
            raise self.fault(key, str(error)) from None


def one_suite(text: str, protocol: str) -> ChildProposal:
    """Of esp= or ah=; ValueError if it is none, or none for keys that are used again after a restart."""
    suites, _, _ = proposals.child(text, protocol)
    if len(suites) > 1:
        raise ValueError("nothing is negotiated, so it names one cipher and one hash")
    if suites[0].encryption and CIPHERS[suites[0].encryption].salt:
        raise ValueError("keys set by hand break this cipher (RFC 8221, section 3): write aes, aes256 or 3des")
    return suites[0]


def key_bytes(text: str, bits: int, algorithm: str) -> bytes:
    """A key as it is written; ValueError, which does not show it, if it is none for this algorithm."""
    data = to_data(text)
    if 8 * len(data) != bits:
        raise ValueError(f"it has {8 * len(data)} bits, and {algorithm} takes {bits}: ipsec ranbits {bits} makes one")
    return data
