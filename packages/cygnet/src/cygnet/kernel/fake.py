"""A kernel in memory, for tests: it keeps SAs and policies, refuses what Linux refuses and judges packets.

``traffic`` tells what would become of a packet, ``deliver`` carries it to another such kernel, which must hold
the same keys and want the packet that way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping as Map
from dataclasses import dataclass, field, replace
from ipaddress import ip_network

from cygnet.connection.connection import Address
from cygnet.connection.selector import Selector
from cygnet.kernel import ours
from cygnet.kernel.interface import Acquire, Event, Expire, KernelError, Mapping
from cygnet.kernel.policy import Action, Direction, Policy, Template
from cygnet.kernel.refusals import refuse_policy, refuse_sa
from cygnet.kernel.sa import Sa, SaCounters, SaKey

Wanted = Callable[[int], bool]
Name = tuple[Direction, Selector, Selector, int, int, int]


def name(policy: Policy) -> Name:
    """What names a policy in the kernel."""
    return (policy.direction, policy.source, policy.destination, policy.if_id, policy.mark, policy.interface)


@dataclass
class FakeKernel:
    """``calls``: what was asked, by method name; ``puts``: how often each policy was put in its place.

    ``clock`` ages SAs: the newest of a reqid is the one in use.
    """

    sas: dict[SaKey, Sa] = field(default_factory=dict)
    policies: dict[Name, Policy] = field(default_factory=dict)
    paths: dict[Address, tuple[str, Address | None]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    puts: Counter[Policy] = field(default_factory=Counter)
    clock: int = 1_000_000
    owner: ours.Owner = ours.DAEMON
    _counters: dict[SaKey, SaCounters] = field(default_factory=dict)
    _events: list[Event] = field(default_factory=list)
    _larval: set[tuple[int, Selector, Selector]] = field(default_factory=set)
    _failures: list[str] = field(default_factory=list)

    def fail(self, *calls: str) -> None:
        """Make the next call of each of these names fail ("add_sa", "put_policy", ...); "*" is any call."""
        self._failures += calls

    def _called(self, call: str) -> None:
        self.calls.append(call)
        for wanted in (call, "*"):
            if wanted in self._failures:
                self._failures.remove(wanted)
                raise KernelError(f"the kernel refused {call}: told to fail")

    def add_sa(self, sa: Sa) -> None:
        self._called("add_sa")
        refuse_sa(sa)
        if sa.key in self.sas:
            raise KernelError(f"the kernel has an SA {sa.key.protocol} {sa.key.spi:#x} already")
        self._place(sa, SaCounters(0, 0, self._tick(), 0))

    def update_sa(self, sa: Sa) -> None:
        self._called("update_sa")
        refuse_sa(sa)
        self._place(sa, self._counters_of(sa.key))

    def move_sa(self, key: SaKey, sa: Sa) -> None:
        self._called("move_sa")
        refuse_sa(sa)
        if sa.key != key and sa.key in self.sas:
            raise KernelError(f"the kernel has an SA {sa.key.protocol} {sa.key.spi:#x} already")
        counters = self._counters_of(key)
        del self.sas[key], self._counters[key]
        self._place(sa, counters)

    def _counters_of(self, key: SaKey) -> SaCounters:
        if key not in self.sas:
            raise KernelError(f"the kernel has no SA {key.protocol} {key.spi:#x}")
        return self._counters[key]

    def _place(self, sa: Sa, counters: SaCounters) -> None:
        self.sas[sa.key], self._counters[sa.key] = sa, counters
        self._larval = {larval for larval in self._larval if larval[0] != sa.reqid}

    def _tick(self) -> int:
        self.clock += 1
        return self.clock

    def delete_sa(self, key: SaKey) -> None:
        self._called("delete_sa")
        self._drop(key)

    def _drop(self, key: SaKey) -> None:
        self.sas.pop(key, None)
        self._counters.pop(key, None)

    def query_sa(self, key: SaKey) -> SaCounters | None:
        self._called("query_sa")
        return self._counters.get(key)

    def list_sas(self) -> list[tuple[SaKey, int]]:
        return [(key, sa.reqid) for key, sa in self.sas.items()]

    def list_policies(self) -> list[Policy]:
        return list(self.policies.values())

    def put_policy(self, policy: Policy) -> None:
        self._called("put_policy")
        refuse_policy(policy)
        there = self.policies.get(name(policy))
        if there and not self.owner.has(there):
            raise KernelError(f"the kernel has a policy for {policy.source} already, of another owner")
        self.policies[name(policy)] = policy
        self.puts[policy] += 1

    def delete_policy(self, policy: Policy) -> None:
        self._called("delete_policy")
        if self.owner.has(self.policies.get(name(policy), policy)):
            self.policies.pop(name(policy), None)

    def add_path(self, remote: Address, interface: str, gateway: Address | None) -> None:
        self._called("add_path")
        if gateway and gateway.version != remote.version:
            raise KernelError(f"the kernel refuses a path to {remote} by {gateway}: two families")
        self.paths[remote] = (interface, gateway)

    def delete_path(self, remote: Address) -> None:
        self._called("delete_path")
        self.paths.pop(remote, None)

    def index(self, interface: str) -> int:
        return int.from_bytes(interface.encode(), "big")

    def flush(self, keep_blocks: bool = False) -> list[Policy]:
        self._called("flush")
        self.paths.clear()
        for key in [key for key, sa in self.sas.items() if sa.reqid in self.owner.reqids]:
            self._drop(key)
        mine = [policy for policy in self.policies.values() if self.owner.has(policy)]
        kept = [one for one in mine if keep_blocks and one.action is Action.BLOCK and not one.if_id]
        for policy in mine:
            if policy not in kept:
                del self.policies[name(policy)]
        return kept

    def fileno(self) -> int:
        return -1

    def events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def expire(self, key: SaKey, hard: bool = False) -> None:
        """Let an SA reach its soft or hard lifetime; a hard one takes it away."""
        self._events.append(Expire(key, self.sas[key].reqid, hard))
        if hard:
            self._drop(key)

    def hard_expire(self, key: SaKey) -> None:
        """Let an SA reach its hard lifetime."""
        self.expire(key, hard=True)

    def new_mapping(self, key: SaKey, source: Address, port: int) -> None:
        """Let the peer of an inbound SA send from elsewhere."""
        self._events.append(Mapping(key, self.sas[key].reqid, source, port))

    def traffic(self, source: Selector | str, destination: Selector | str, by: str = "ipsec0") -> str | SaKey:
        """What becomes of an outgoing packet: "clear", "drop", "reject", "acquire", or the key of its outermost SA.

        Policies without if_id are asked first, then those of the XFRM interfaces, as Linux does for a packet
        that is routed into one, which ``by`` says, and which is so only as long as there is any policy.  A packet
        that none wants goes in the clear.
        """
        flow = (_packet(source), _packet(destination))
        found = self._outgoing(*flow, by)
        if isinstance(found, str):
            return found
        return found[-1].key

    def _outgoing(self, source: Selector, destination: Selector, by: str = "ipsec0") -> str | list[Sa]:
        exits = (0, self.index(by))
        policy = self._lookup(Direction.OUT, source, destination, lambda if_id: if_id == 0, exits)
        if by.startswith("ipsec") and (policy is None or (policy.action is Action.ALLOW and not policy.templates)):
            policy = self._lookup(Direction.OUT, source, destination, lambda if_id: if_id != 0) or policy
        if policy is None:
            return "clear"
        if policy.action is Action.BLOCK:
            return "reject" if policy.if_id else "drop"
        if not policy.templates:
            return "drop" if policy.if_id or policy.interface else "clear"
        bundle = [self._newest(template, policy, source, destination) for template in policy.templates]
        if any(sa is None for sa in bundle):
            self._acquire(policy.templates[-1].reqid, source, destination)
            return "acquire"
        return [sa for sa in bundle if sa is not None]

    def _lookup(
        self,
        direction: Direction,
        source: Selector,
        destination: Selector,
        wanted: Wanted,
        exits: tuple[int, ...] = (0,),
    ) -> Policy | None:
        fits = [
            policy
            for policy in self.policies.values()
            if policy.direction is direction
            and wanted(policy.if_id)
            and policy.interface in exits
            and policy.source.holds(source)
            and policy.destination.holds(destination)
        ]
        return min(fits, key=lambda policy: policy.priority, default=None)

    def _newest(self, template: Template, policy: Policy, source: Selector, destination: Selector) -> Sa | None:
        fits = [sa for sa in self.sas.values() if sa.if_id == policy.if_id and _serves(sa, template)]
        fits = [sa for sa in fits if sa.outbound and _selects(sa, source, destination)]
        return max(fits, key=lambda sa: self._counters[sa.key].added, default=None)

    def _acquire(self, reqid: int, source: Selector, destination: Selector) -> None:
        larval = (reqid, source, destination)
        if larval not in self._larval:
            self._larval.add(larval)
            self._events.append(Acquire(reqid, source, destination))

    def larval_timeout(self) -> None:
        """Let the time pass that Linux waits for an SA, after which the same packet makes a new acquire."""
        self._larval.clear()

    def deliver(
        self,
        peer: FakeKernel,
        source: Selector | str,
        destination: Selector | str,
        size: int = 84,
        nat: Map[Address, Address] | None = None,
    ) -> str:
        """Send one packet to ``peer``: "delivered", "clear" (in the clear, and wanted so), or why it is lost.

        ``nat``: outer destinations that a translator replaces on the way.
        """
        flow = (_packet(source), _packet(destination))
        sent = self._outgoing(*flow)
        if isinstance(sent, str) and sent != "clear":
            return sent
        bundle = [] if isinstance(sent, str) else sent
        for sa in bundle:
            self._count(sa.key, size)
        return peer._arrived(bundle, flow, size, nat or {})

    def _arrived(self, bundle: list[Sa], flow: tuple[Selector, Selector], size: int, nat: Map[Address, Address]) -> str:
        received: list[Sa] = []
        for sent in bundle:
            key = replace(sent.key, destination=nat.get(sent.key.destination, sent.key.destination), mark=0)
            mine = next((sa for sa in self.sas.values() if replace(sa.key, mark=0) == key and not sa.outbound), None)
            if mine is None:
                return f"no SA {key.protocol} {key.spi:#x}"
            if _protection(sent) != _protection(mine):
                return f"keys of {key.protocol} {key.spi:#x} differ"
            received.append(mine)
        if not self._wanted(received, *flow):
            return "refused by policy"
        for sa in received:
            self._count(sa.key, size)
        return "delivered" if received else "clear"

    def _wanted(self, received: list[Sa], source: Selector, destination: Selector) -> bool:
        if_id = received[0].if_id if received else 0
        policy = self._lookup(Direction.IN, source, destination, lambda wanted: wanted == if_id)
        if policy is None:
            return not received
        if policy.action is Action.BLOCK:
            return False
        got = list(received)
        for template in policy.templates:
            if got and _serves(got[0], template):
                got.pop(0)
            elif not template.optional:
                return False
        return not got

    def _count(self, key: SaKey, size: int) -> None:
        was = self._counters[key]
        self._counters[key] = replace(was, bytes=was.bytes + size, packets=was.packets + 1, last_used=self._tick())


def _packet(text: Selector | str) -> Selector:
    return text if isinstance(text, Selector) else Selector(ip_network(text))


def _serves(sa: Sa, template: Template) -> bool:
    """Whether a template is satisfied by this SA."""
    return (
        (sa.key.protocol, sa.mode, sa.reqid) == (template.protocol, template.mode, template.reqid)
        and template.destination in (None, sa.key.destination)
        and template.source in (None, sa.source)
    )


def _selects(sa: Sa, source: Selector, destination: Selector) -> bool:
    return sa.selectors is None or (sa.selectors[0].holds(source) and sa.selectors[1].holds(destination))


def _protection(sa: Sa) -> tuple[object, ...]:
    """What both ends must have alike for a packet to be understood."""
    return (sa.mode, sa.encryption, sa.integrity, sa.aead, sa.compression, sa.esn, sa.encapsulation is not None)
