"""Which connections there are, and which of them a peer, or a peer's request for traffic, is about."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace

from cygnet.connection.connection import Address, Connection, End, HostKind, host_network
from cygnet.connection.identity import Identity
from cygnet.connection.selector import Network, Selector
from cygnet.errors import CygnetError
from cygnet.ike.contacts import Contacts
from cygnet.ike.live import Live, instantiate, is_negotiated, pair_of
from cygnet.ike.numbers import Notify
from cygnet.ike.v1.exchange import Refused
from cygnet.ike.v1.sa import IsakmpSa
from cygnet.index import Index

MOST_INSTANCES = 5000
# Who may call without being named, in the order of preference.
_CALLERS = (HostKind.ANY, HostKind.OPPORTUNISTIC)
SHOWN = 8


class UnknownConnection(CygnetError):
    """No connection of that name has been added."""


class Roster:
    """Connections by name, and their lives: one for a permanent connection, one a peer for a %any connection."""

    def __init__(self) -> None:
        self.lives: dict[str, Live] = {}
        self.instances: Index[Live] = Index(_keys)
        self._permanent: Index[Live] = Index(lambda live: _keys(live)[:1])
        self.contacts = Contacts()
        self._numbers: dict[str, int] = {}

    def add(self, connection: Connection) -> Live:
        """Keep a connection."""
        live = Live(connection, contact=self.contacts.of(connection.there.host))
        self.lives[connection.name] = live
        self._permanent.add(live)
        return live

    def get(self, name: str) -> Live:
        """The life of a connection. Raises UnknownConnection."""
        if name not in self.lives:
            raise UnknownConnection(f'no connection named "{name}": ipsec auto --add {name} loads it from ipsec.conf')
        return self.lives[name]

    def family(self, name: str) -> list[Live]:
        """A connection and its instances."""
        return [self.get(name), *self.instances.at(name)]

    def everyone(self) -> Iterator[Live]:
        """All lives."""
        yield from self.lives.values()
        yield from self.instances

    def of_peers(self, *hosts: Address | None) -> list[Live]:
        """All lives with these peers."""
        return self._permanent.at(*hosts) + self.instances.at(*hosts)

    def remove(self, name: str) -> None:
        """Forget a connection and its instances."""
        self._permanent.discard(self.lives.pop(name))
        for live in self.instances.at(name):
            self.instances.discard(live)

    def forget_idle(self, live: Live, sas: Index[IsakmpSa]) -> None:
        """An instance without SAs has no life of its own; ``sas``: all ISAKMP SAs that there are."""
        if not live.children and not sas.at(live):
            self.instances.discard(live)

    def candidates(self, local: Address, remote: Address) -> list[Live]:
        """Connections that a first message between these addresses may be for: those that name the peer come first."""
        found = self._permanent.at(remote, *_CALLERS)
        return [one for one in found if is_negotiated(one.connection) and one.connection.here.host == local]

    def instance(self, template: Live, remote: Address, peer_id: Identity | None) -> Live:
        """The instance of a %any connection for a peer, made if there is none."""
        connection = template.connection
        for live in self.instances.at((connection.name, remote)):
            if live.connection.there.identity == peer_id or peer_id is None:
                return live
        if len(self.instances) >= MOST_INSTANCES:
            raise Refused(Notify.NO_PROPOSAL_CHOSEN, f"{MOST_INSTANCES} peers are served already")
        number = self._numbers[connection.name] = self._numbers.get(connection.name, 0) + 1
        live = instantiate(connection, remote, peer_id, number)
        live.contact = self.contacts.of(remote)
        self.instances.add(live)
        return live

    def pair(self, template: Live, gateway: Address, end: End, ours: Selector, theirs: Selector) -> Live:
        """The life of two hosts that an opportunistic connection has brought together, made if there is none.

        ``end``: what is known of the other gateway.
        """
        made = pair_of(template.connection, gateway, end, ours, theirs)
        for live in self.pairs(template.connection, ours, theirs):
            if live.instance == made.instance:
                # Its key may be another one by now.
                live.connection = live.connection if live.children else made.connection
                return live
        if len(self.instances) >= MOST_INSTANCES:
            raise Refused(Notify.NO_PROPOSAL_CHOSEN, f"{MOST_INSTANCES} peers are served already")
        self.instances.add(made)
        return made

    def pairs(self, template: Connection, ours: Selector, theirs: Selector) -> list[Live]:
        """The lives of two hosts; one without SAs stays as long as an ISAKMP SA of its own does."""
        return self.instances.at((template.name, ours.network, theirs.network))

    def serving(self, live: Live, sa: IsakmpSa, ours: Selector, theirs: Selector) -> Live:
        """Whose the SAs for this traffic are: of strangers each pair of hosts has a life of its own."""
        if not live.connection.there.strangers:
            return self.personal(live, sa)
        template = self.lives.get(live.connection.name, live)
        end = replace(template.connection.there, id=sa.peer.id, public_keys=(sa.peer.key,), keys_from_dns=False)
        return self.pair(template, sa.path.remote, end, ours, theirs)

    def personal(self, live: Live, sa: IsakmpSa) -> Live:
        """The connection itself, or of a %any connection the instance for the peer of ``sa``."""
        return live if live.connection.there.host else self.instance(live, sa.path.remote, sa.peer.id)

    def for_traffic(self, sa: IsakmpSa, ours: Selector, theirs: Selector, private: tuple[Network, ...]) -> list[Live]:
        """The connections that are for this traffic with the peer of ``sa``, that of phase 1 first. Raises Refused."""
        lives = [sa.live, *self._permanent.at(sa.path.remote, sa.live.connection.there.host, *_CALLERS)]
        known = [live for live in dict.fromkeys(lives) if self._same_peer(live, sa)]
        fits = [live for live in known if _fits(live.connection, sa, ours, theirs, private)]
        if found := [live for live in fits if self._decides(live.connection, ours, theirs)]:
            return found
        have = ", ".join(_words(live.connection) for live in known[:SHOWN])
        raise Refused(
            Notify.INVALID_ID_INFORMATION,
            f"no connection is for traffic between {ours} here and {theirs} at {sa.peer.id}; "
            f"with this peer we have: {have}",
        )

    def _decides(self, connection: Connection, ours: Selector, theirs: Selector) -> bool:
        """Whether no other policy group, or shunt, has a smaller network with the stranger in it."""
        others = [live.connection for live in self.lives.values()] if connection.there.strangers else []
        rivals = [one for one in others if one.there.strangers or not is_negotiated(one)]
        size = max((_size(one) for one in rivals if _holds(one, ours, theirs)), default=0)
        return not others or _size(connection) >= size

    def _same_peer(self, live: Live, sa: IsakmpSa) -> bool:
        """Whether a connection is with the very peer that phase 1 proved."""
        mine, its = live.connection, sa.live.connection
        if not is_negotiated(mine) or not sa.fits(mine):
            return False
        if mine.there.host not in (None, sa.path.remote, its.there.host):
            return False
        if mine.there.host is None and mine.there.kind not in _CALLERS:
            return False
        return mine.there.identity in (None, sa.peer.id)


def _keys(live: Live) -> tuple[Hashable, ...]:
    """The peer, the connection, and of its instances the one for a peer or for two strangers."""
    one, there = live.connection, live.connection.there
    own = (one.here.subnet, there.subnet) if there.strangers else (there.host,)
    return there.host or there.kind, one.name, (one.name, *own)


def _fits(connection: Connection, sa: IsakmpSa, ours: Selector, theirs: Selector, private: tuple[Network, ...]) -> bool:
    mine = connection.here.selector
    if connection.there.strangers:
        return _are_hosts(ours, theirs) and _holds(connection, ours, theirs)
    if mine is None or not _same(mine, ours):
        return False
    end = connection.there
    if (end.protocol, end.port or theirs.port) != (theirs.protocol, theirs.port):
        return False
    if end.subnet is not None:
        return theirs.network == end.subnet
    if end.subnet_within is not None:
        return Selector(end.subnet_within).holds(Selector(theirs.network))
    if theirs.network == host_network(end.host or sa.path.remote):
        return True
    # A peer behind NAT asks for the address that it has there.
    single = theirs.network.prefixlen == theirs.network.max_prefixlen
    return sa.peer.behind_nat and single and any(Selector(n).holds(Selector(theirs.network)) for n in private)


def _are_hosts(*selectors: Selector) -> bool:
    return all(one.network.num_addresses == 1 for one in selectors)


def _holds(connection: Connection, ours: Selector, theirs: Selector) -> bool:
    """Whether a connection for a whole network is for this traffic; without a network it is for everybody's."""
    mine, everyone = connection.here.selector, connection.there.subnet
    return mine is not None and mine.holds(ours) and (everyone is None or Selector(everyone).holds(theirs))


def _size(connection: Connection) -> int:
    """Of its network: the more bits are fixed, the smaller."""
    return connection.there.subnet.prefixlen if connection.there.subnet else 0


def _same(mine: Selector, asked: Selector) -> bool:
    return mine.network == asked.network and mine.protocol == asked.protocol and mine.port in (0, asked.port)


def _words(connection: Connection) -> str:
    return f"{connection.here.selector} to {connection.there.selector or '%any'}"
