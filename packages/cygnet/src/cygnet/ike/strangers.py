"""Opportunistic encryption (RFC 4322): traffic with hosts that nobody has configured, where the DNS has their keys.

Two hosts are a pair: looked up, negotiated for, then up; or there is a shunt between them for a while. The table is
bounded: the oldest shunts make room, and what stands is never touched by what comes.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cygnet.connection.connection import Address, Connection, Shunt, Type
from cygnet.connection.identity import Identity, IdType
from cygnet.connection.selector import Selector, host_selector
from cygnet.dns import records
from cygnet.dns.cache import Answer
from cygnet.dns.message import IPSECKEY, KEY, TXT, Question
from cygnet.dns.names import Name, from_text, reverse
from cygnet.dns.resolver import Resolver, subject
from cygnet.errors import CygnetError
from cygnet.ike.live import Live
from cygnet.ike.numbers import Notify
from cygnet.ike.timers import Timer
from cygnet.ike.v1.exchange import Refused
from cygnet.ike.v1.sa import IsakmpSa
from cygnet.kernel.interface import Acquire

if TYPE_CHECKING:
    from cygnet.ike.engine import Engine

MOST_PAIRS = 5000
# Seconds: of a shunt, of one because the DNS could not be asked, and without a packet until a pair ends.
SHUNTED, SHUNTED_IN_DOUBT, IDLE = 900.0, 60.0, 900.0
SHOWN = 200
_SHUNTS = {Shunt.PASSTHROUGH: Type.PASSTHROUGH, Shunt.DROP: Type.DROP, Shunt.REJECT: Type.REJECT}
_WORDS = {Shunt.NONE: "%hold", Shunt.PASSTHROUGH: "%pass", Shunt.DROP: "%drop", Shunt.REJECT: "%reject"}


class State(enum.Enum):
    """Where a pair is; as `ipsec auto --status` says it."""

    LOOKING = "looked up in the DNS"
    NEGOTIATING = "negotiated for"
    UP = "up"
    SHUNTED = "shunted"


@dataclass(eq=False)
class Pair:
    """Two hosts. ``gateways``: those that are still to be tried, each with its key. ``packets``: received so far."""

    template: Live
    ours: Selector
    theirs: Selector
    state: State = State.LOOKING
    why: str = ""
    live: Live | None = None
    gateways: list[tuple[Address, bytes]] = field(default_factory=list)
    answers: dict[Question, Answer] = field(default_factory=dict)
    packets: int = -1
    timer: Timer | None = None

    @property
    def key(self) -> tuple[str, Selector, Selector]:
        """Its name in the table."""
        return self.template.connection.name, self.ours, self.theirs

    def __str__(self) -> str:
        return f"{self.ours.network.network_address} -> {self.theirs.network.network_address}"


class Strangers:
    """``resolver`` None: there is no DNS, and so nobody has a key."""

    def __init__(self, engine: Engine, resolver: Resolver | None) -> None:
        self._engine, self._resolver = engine, resolver
        self.pairs: dict[tuple[str, Selector, Selector], Pair] = {}
        # The same that have a shunt, the oldest first.
        self._shunted: dict[tuple[str, Selector, Selector], Pair] = {}

    def acquired(self, template: Live, event: Acquire) -> None:
        """Traffic between two hosts met the trap of an opportunistic connection."""
        ours, theirs = (host_selector(one.network[0]) for one in (event.source, event.destination))
        pair = Pair(template, ours, theirs)
        lives = self._engine.roster.pairs(template.connection, ours, theirs)
        # The peer may be bringing them together just now.
        if pair.key in self.pairs or any(map(self._engine.children.busy, lives)) or not self._room():
            return
        self.pairs[pair.key] = pair
        self._look_up(pair)

    def stands(self, live: Live) -> None:
        """SAs for two hosts are there, whoever began."""
        pair = self._pair_of(live)
        self._unshunt(pair)
        pair.live, pair.state, pair.why, pair.packets = live, State.UP, "", -1
        self.pairs[pair.key] = pair
        self._at(pair, IDLE, self._look_idle)

    def failed(self, live: Live) -> None:
        """A gateway did not agree: the next one, or the shunt."""
        pair = self.pairs.get(_key(live))
        if pair and pair.state is State.NEGOTIATING:
            pair.why = live.why
            self._engine.roster.forget_idle(live, self._engine.isakmp.sas)
            self._try_next(pair)

    def gone(self, live: Live) -> None:
        """The last SAs of two hosts have gone."""
        pair = self.pairs.get(_key(live))
        if pair and pair.live is live and pair.state is State.UP:
            self._forget(pair)

    def forget(self, name: str) -> None:
        """All that a connection has."""
        for pair in [one for key, one in self.pairs.items() if key[0] == name]:
            self._forget(pair)

    def check(self, sa: IsakmpSa, connection: Connection, ours: Selector, theirs: Selector) -> None:
        """Raise Refused or Waiting unless the DNS says that each end, by the key it proved, speaks for its host."""
        mine = [secret.key.public.blob for secret in self._engine.secrets.private]
        ends: tuple[tuple[Address, Address, Identity | None, list[bytes]], ...] = (
            (theirs.network[0], sa.path.remote, sa.peer.id, [sa.peer.key]),
            (ours.network[0], sa.path.local, connection.here.identity, mine),
        )
        spoken_for = [end for end in ends if end[0] != end[1]]
        answers = self._engine.directory.answers(sa, [each for host, *_ in spoken_for for each in questions(host)])
        for host, gateway, name, keys in spoken_for:
            found = {one: answers[one] for one in questions(host)}
            if not _speaks(_delegations(found, connection.dnssec), gateway, name, keys):
                raise Refused(
                    Notify.INVALID_ID_INFORMATION,
                    f"{sa.peer.id} at {sa.path.remote} asks for the traffic of {host}, and the DNS does not say that "
                    f"{name} may: {_missing(found) or 'its records name another gateway or key'}",
                )

    def status(self) -> Iterator[str]:
        """A line for each pair, not more than anybody reads."""
        for pair in list(self.pairs.values())[:SHOWN]:
            shunt = f" {_WORDS[pair.template.connection.failure_shunt]}" if pair.state is State.SHUNTED else ""
            why = f": {pair.why}" if pair.why else ""
            yield f"{pair.template.label}: {pair} is {pair.state.value}{shunt}{why}"
        if len(self.pairs) > SHOWN:
            yield f"and {len(self.pairs) - SHOWN} pairs of hosts more"

    # From a first packet to a tunnel or a shunt

    def _look_up(self, pair: Pair) -> None:
        if self._resolver is None:
            self._shunt(pair, "this daemon asks no DNS", SHUNTED_IN_DOUBT)
            return
        for question in questions(pair.theirs.network.network_address):
            self._resolver.ask(question, partial(self._answered, pair, question), self._engine.now)

    def _answered(self, pair: Pair, question: Question, answer: Answer) -> None:
        pair.answers[question] = answer
        if len(pair.answers) < len(questions(pair.theirs.network.network_address)) or pair.state is not State.LOOKING:
            return
        if self.pairs.get(pair.key) is pair:
            self._engine.timers.at(self._engine.now, partial(self._known, pair))

    def _known(self, pair: Pair) -> None:
        connection, answers, host = pair.template.connection, pair.answers, pair.theirs.network.network_address
        pair.answers = {}
        if pair.state is not State.LOOKING or self.pairs.get(pair.key) is not pair:
            return
        found = [(one.gateway or host, one.key) for one in _delegations(answers, connection.dnssec)]
        # Who has a name only can call, and cannot be called; we ourselves need no tunnel to us.
        pair.gateways = [(to, key) for to, key in found if not isinstance(to, tuple) and to != connection.here.host]
        if pair.gateways:
            self._try_next(pair)
            return
        doubt = not all(answer.certain for answer in answers.values())
        why = _missing(answers) or "its records name no gateway that can be called, or are not authenticated (DNSSEC)"
        self._shunt(pair, why, SHUNTED_IN_DOUBT if doubt else SHUNTED)

    def _try_next(self, pair: Pair) -> None:
        if not pair.gateways:
            self._shunt(pair, pair.why, SHUNTED)
            return
        gateway, key = pair.gateways.pop(0)
        there = pair.template.connection.there
        keys = (key,) if key else ()
        end = replace(there, id=Identity.address(gateway), public_keys=keys, keys_from_dns=not keys)
        try:
            pair.live = self._engine.roster.pair(pair.template, gateway, end, pair.ours, pair.theirs)
            pair.state = State.NEGOTIATING
            self._engine.initiation.start(pair.live, None)
        except CygnetError as problem:
            pair.why = str(problem)
            self._try_next(pair)

    def _shunt(self, pair: Pair, why: str, seconds: float) -> None:
        pair.state, pair.why, pair.live = State.SHUNTED, why, None
        connection = pair.template.connection
        if type_ := _SHUNTS.get(connection.failure_shunt):
            make = partial(self._engine.tunnels.shunt, connection, str(pair), pair.ours, pair.theirs, type_)
            self._engine.guard(make)
        self._shunted[pair.key] = pair
        self._at(pair, seconds, self._forget)

    # What ends

    def _unshunt(self, pair: Pair) -> None:
        if self._shunted.pop(pair.key, None):
            self._engine.tunnels.unshunt(pair.template.connection, str(pair))

    def _forget(self, pair: Pair) -> None:
        """The next packet is the first one again."""
        self._unshunt(pair)
        if pair.timer:
            pair.timer.cancel()
        if self.pairs.get(pair.key) is pair:
            del self.pairs[pair.key]

    def _look_idle(self, pair: Pair) -> None:
        live = pair.live
        if live is None or pair.state is not State.UP:
            return
        packets = sum(map(self._engine.children.packets_in, live.children))
        if packets != pair.packets:
            pair.packets = packets
            self._at(pair, IDLE, self._look_idle)
            return
        for child in list(live.children):
            self._engine.children.remove(live, child, "nothing was received for a while", tell_peer=True)

    def _room(self) -> bool:
        if len(self.pairs) >= MOST_PAIRS and self._shunted:
            self._forget(next(iter(self._shunted.values())))
        return len(self.pairs) < MOST_PAIRS

    def _at(self, pair: Pair, seconds: float, what: Callable[[Pair], None]) -> None:
        if pair.timer:
            pair.timer.cancel()
        pair.timer = self._engine.timers.at(self._engine.now + seconds, partial(what, pair))

    def _pair_of(self, live: Live) -> Pair:
        """That in the table, or a new one: the peer began."""
        name, ours, theirs = _key(live)
        return self.pairs.get((name, ours, theirs)) or Pair(self._engine.roster.get(name), ours, theirs)


def questions(host: Address) -> list[Question]:
    """Where the gateway of a host is written."""
    return [Question(reverse(host), kind) for kind in (TXT, IPSECKEY, KEY)]


def _key(live: Live) -> tuple[str, Selector, Selector]:
    here, there = live.connection.here.selector, live.connection.there.selector
    none = host_selector(ip_address(0))
    return live.connection.name, here or none, there or none


def _speaks(
    found: Iterable[records.Delegation], gateway: Address, name: Identity | None, keys: Sequence[bytes]
) -> bool:
    """Whether a gateway, by its address or name, is among those of a host, with one of its keys."""
    names: list[Address | Name | None] = [gateway]
    if name and name.type is IdType.FQDN:
        names.append(from_text(name.data.decode("latin-1")))
    return any(one.gateway in names and one.key in (b"", *keys) for one in found)


def _delegations(answers: Mapping[Question, Answer], authentic: bool) -> list[records.Delegation]:
    data = {question.type: one.data for question, one in answers.items() if one.authentic or not authentic}
    # A host with nothing but a key is its own gateway, as FreeS/WAN's guide has it.
    alone = [records.Delegation(65536, None, key) for key in records.keys(data.get(KEY, ()))]
    return records.delegations(data.get(TXT, ()), data.get(IPSECKEY, ())) + alone


def _missing(answers: Mapping[Question, Answer]) -> str:
    """Why there are no records, "" if there are."""
    if any(answer.data for answer in answers.values()):
        return ""
    return "; ".join(f"{subject(question)} {answer.problem}" for question, answer in answers.items())
