"""What the DNS says of peers' keys: asked for when a peer has to prove itself, and nothing else waits for it.

A message that needs a key which is not known yet is kept, and taken again when the DNS has answered (RFC 4322).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cygnet.connection.connection import Address, Connection
from cygnet.connection.identity import Identity, IdType
from cygnet.crypto.rsa import PublicKey
from cygnet.dns import records
from cygnet.dns.cache import Answer
from cygnet.dns.message import IPSECKEY, KEY, TXT, Question
from cygnet.dns.names import BadName, Name, from_text, reverse
from cygnet.dns.resolver import Resolver, subject
from cygnet.errors import CygnetError
from cygnet.ike.numbers import Notify
from cygnet.ike.path import Path
from cygnet.ike.v1.exchange import Refused
from cygnet.ike.v1.sa import IsakmpSa

if TYPE_CHECKING:
    from cygnet.ike.engine import Engine

UNAUTHENTICATED = "its answer is not authenticated (DNSSEC), which dnssec=yes demands"
UNUSABLE = "its records hold no RSA key that can be used"
REMEDY = ". Put it there (ipsec showhostkey on the peer prints the record), or into the connection's rsasigkey="
# Of an IKE header (RFC 2408, section 3.1); how many messages of an SA wait at once.
MESSAGE_ID, MOST_KEPT = slice(20, 24), 32
_ADDRESSES = (IdType.IPV4_ADDR, IdType.IPV6_ADDR)


class Waiting(CygnetError):
    """The DNS has been asked and has not answered yet: the message is to be kept."""

    def __init__(self, missing: set[Question]) -> None:
        super().__init__("the DNS has not answered yet")
        self.missing = missing


class Directory:
    """``resolver`` None: there is no DNS."""

    def __init__(self, engine: Engine, resolver: Resolver | None) -> None:
        self._engine, self._resolver = engine, resolver
        self._asked: set[tuple[IsakmpSa, Question]] = set()
        self._kept: dict[IsakmpSa, dict[bytes, tuple[set[Question], bytes, Path]]] = {}

    def keys(self, sa: IsakmpSa, connection: Connection, identity: Identity) -> list[PublicKey]:
        """The public keys of a peer. Raises Waiting; Refused, saying what the DNS lacks."""
        if self._resolver is None:
            return []
        known = self.answers(sa, questions(identity))
        believed = {one: answer for one, answer in known.items() if answer.authentic or not connection.dnssec}
        if found := keys_at(identity, believed):
            return [PublicKey.from_blob(blob) for blob in found]
        doubtful = any(answer.data for answer in known.values()) and not any(one.data for one in believed.values())
        said = [f"{subject(question)} {answer.problem}" for question, answer in known.items() if answer.problem]
        raise _refused(identity, UNAUTHENTICATED if doubtful else "; ".join(said) or UNUSABLE)

    def answers(self, sa: IsakmpSa, asked: Sequence[Question]) -> dict[Question, Answer]:
        """To all that is asked. Raises Waiting until they are there."""
        found = {question: self._answer(sa, question) for question in asked}
        known = {question: answer for question, answer in found.items() if answer}
        if missing := found.keys() - known.keys():
            raise Waiting(missing)
        return known

    def keep(self, sa: IsakmpSa, packet: bytes, path: Path, missing: set[Question]) -> None:
        """A message that has to wait, the latest of its id; of too many the oldest comes again by itself."""
        kept = self._kept.setdefault(sa, {})
        kept[packet[MESSAGE_ID]] = (missing, packet, path)
        if len(kept) > MOST_KEPT:
            del kept[next(iter(kept))]

    def forget(self, sa: IsakmpSa) -> None:
        """Nothing of it waits any more."""
        self._kept.pop(sa, None)

    def _answer(self, sa: IsakmpSa, question: Question) -> Answer | None:
        if self._resolver is None:
            return Answer(problem="is not looked up: this daemon asks no DNS", certain=False)
        if (sa, question) in self._asked:
            return self._resolver.cache.get(question, self._engine.now)
        found: list[Answer] = []
        self._resolver.ask(question, partial(self._answered, sa, question, found), self._engine.now)
        if not found:
            self._asked.add((sa, question))
        return found[0] if found else None

    def _answered(self, sa: IsakmpSa, question: Question, found: list[Answer], answer: Answer) -> None:
        """Later: the message that waits for it is taken again, but not in the middle of another one."""
        found.append(answer)
        if (sa, question) in self._asked:
            self._asked.discard((sa, question))
            self._engine.timers.at(self._engine.now, partial(self._resume, sa, question))

    def _resume(self, sa: IsakmpSa, question: Question) -> None:
        kept = self._kept.get(sa, {})
        for number, (missing, packet, path) in list(kept.items()):
            missing.discard(question)
            if not missing:
                kept.pop(number, None)
                self._engine.receive(packet, path, self._engine.now)
        if not kept:
            self.forget(sa)


def questions(identity: Identity) -> list[Question]:
    """Where an identity has its keys: at its name, or in the reverse map. Raises Refused if the DNS knows no such."""
    try:
        if identity.type in _ADDRESSES:
            return _at(reverse(ip_address(identity.data)), KEY, TXT, IPSECKEY)
        if identity.type is IdType.FQDN:
            return _at(from_text(identity.data.decode("latin-1")), KEY, TXT, IPSECKEY)
    except BadName as problem:
        raise _refused(identity, str(problem)) from None
    raise _refused(identity, "only names of hosts and addresses have keys there")


def _at(name: Name, *types: int) -> list[Question]:
    return [Question(name, kind) for kind in types]


def keys_at(identity: Identity, answers: Mapping[Question, Answer]) -> list[bytes]:
    """The keys of an identity. A record that names another gateway has that one's key."""
    data = {question.type: answer.data for question, answer in answers.items()}
    own: set[Address | Name | None] = {None, *(question.name for question in answers)}
    if identity.type in _ADDRESSES:
        own.add(ip_address(identity.data))
    delegated = records.delegations(data.get(TXT, ()), data.get(IPSECKEY, ()))
    found = records.keys(data.get(KEY, ())) + [one.key for one in delegated if one.gateway in own and one.key]
    return list(dict.fromkeys(found))


def _refused(identity: Identity, why: str) -> Refused:
    return Refused(Notify.AUTHENTICATION_FAILED, f"the DNS gives no key for {identity}: {why}{REMEDY}")
