"""What is keyed by hand, in the kernel: each operation of `ipsec manual`, whole or undone.

Nothing is remembered between two commands but what the kernel has: SAs and policies with numbers of manual keying
(kernel/ours.py), which the daemon leaves alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

from cygnet.cli import service
from cygnet.cli.keyed import Keyed, keyed
from cygnet.conf import ConfError, Configuration
from cygnet.control.codes import CONTROL_BASE
from cygnet.daemon.host import INTERFACES, numbered
from cygnet.errors import CygnetError
from cygnet.kernel import encode, links, ours
from cygnet.kernel.interface import Kernel
from cygnet.kernel.policy import Direction, Policy
from cygnet.tunnel.paths import Paths
from cygnet.tunnel.registry import Registry
from cygnet.tunnel.route import SHUNTS
from cygnet.updown.call import Occasion, Updown

Log = Callable[[str], None]


@contextmanager
def opened(configuration: Configuration, log: Log) -> Iterator[Manual]:
    """With this host's kernel and updown script."""
    from cygnet.kernel.xfrm import Xfrm
    from cygnet.updown.script import Script

    kernel = Xfrm(log, ours.MANUAL)
    try:
        yield Manual(configuration, log, kernel, Script(log))
    finally:
        kernel.close()


def find(configuration: Configuration, name: str, other: bool = False) -> Keyed:
    """A conn and its keys; CygnetError says why it cannot be had. ``other``: as the other end has it."""
    if name not in configuration.connections:
        about = [problem for problem in configuration.problems if f'"{name}"' in problem]
        raise CygnetError(about[0] if about else f'the configuration has no conn "{name}"')
    one = configuration.connections[name]
    if other:
        one = replace(one, here=replace(one.there, interface=one.here.interface), there=one.here)
    return keyed(one, configuration.manual.get(name, {}), Registry(numbered(configuration.setup)))


class Manual:
    """The operations. ``log`` is told of warnings, and of what went wrong where it goes on all the same."""

    def __init__(self, configuration: Configuration, log: Log, kernel: Kernel, updown: Updown) -> None:
        self.configuration, self.log = configuration, log
        self.kernel, self.updown = kernel, updown

    def up(self, one: Keyed) -> None:
        """SAs, policies, route."""
        self._refuse_rivals(one)
        if one.weak:
            self.log(f'"{one.name}": WARNING: weak, and used because the connection names it: {", ".join(one.weak)}')
        with self._whole(one) as undo:
            for sa in one.sas:
                self.kernel.add_sa(sa)
                undo.callback(self.kernel.delete_sa, sa.key)
            self._lay(one, one.protecting)
            self._call(one, "up")

    def route(self, one: Keyed) -> None:
        """Only the route, and policies that drop what takes it."""
        self._refuse_rivals(one)
        with self._whole(one):
            self._lay(one, one.resting)

    def down(self, one: Keyed) -> None:
        """All but the route; what takes it is dropped."""
        if not self._is_up(one):
            raise CygnetError(f'"{one.name}" is not up')
        self.attempt(partial(self._call, one, "down"))
        self._settle(one, one.resting)
        for key, reqid in self.kernel.list_sas() if one.sas else ():
            if reqid == one.route.reqid:
                self.kernel.delete_sa(key)

    def unroute(self, one: Keyed) -> None:
        """The route, and whatever is left."""
        if one.sas and self._is_up(one):
            raise CygnetError(f'"{one.name}" is up: ipsec manual --down {one.name} comes first')
        self._clear(one)

    def end(self, name: str) -> None:
        """Down and unrouted, if there is anything of it."""
        if name in self.configuration.manual or self.configuration.connections[name].type in SHUNTS:
            one = find(self.configuration, name)
            if self._is_up(one):
                self.down(one)
            if self._standing(one):
                self._clear(one)

    def attempt(self, step: Callable[[], object]) -> None:
        """Say what went wrong, and go on."""
        try:
            step()
        except CygnetError as problem:
            self.log(str(problem))

    @contextmanager
    def _whole(self, one: Keyed) -> Iterator[ExitStack]:
        """If a step fails, SAs go first, then policies and route are what they were before."""
        service.mark_by_hand()
        before = partial(self._settle, one, one.resting) if self._standing(one) else partial(self._clear, one)
        with ExitStack() as undo:
            undo.callback(self.attempt, before)
            yield undo
            undo.pop_all()

    def _lay(self, one: Keyed, policies: list[Policy]) -> None:
        """Policies, and the route that leads to them."""
        name, setup = one.route.interface, self.configuration.setup
        if one.route.if_id and not (INTERFACES / name).exists():
            links.create_interface(name, one.route.if_id, setup.override_mtu)
        self._settle(one, policies)
        Paths(self.kernel).keep(one.route)
        for verb in ("prepare", "route"):
            self._call(one, verb)

    def _settle(self, one: Keyed, wanted: list[Policy]) -> None:
        """These policies, and no other of this conn."""
        for policy in wanted:
            self.kernel.put_policy(policy)
        names = set(map(encode.policy_id, wanted))
        for policy in self._standing(one):
            if encode.policy_id(policy) not in names:
                self.kernel.delete_policy(policy)

    def _clear(self, one: Keyed) -> None:
        """Nothing of it stays, but what another needs."""
        route, remote = one.route, one.route.span.remote
        self._settle(one, [])
        left = [policy for policy in self.kernel.list_policies() if policy.if_id == route.if_id]
        if not any(other.direction is Direction.OUT and other.destination == route.span.theirs for other in left):
            self.attempt(partial(self._call, one, "unroute"))
        sas = {key: reqid for key, reqid in self.kernel.list_sas() if reqid in ours.MANUAL_REQIDS}
        if remote not in {key.destination for key in sas}:
            self.attempt(partial(self.kernel.delete_path, remote))
        if not sas and not self._by_hand():
            self.attempt(self.kernel.flush)
        if route.if_id and not left and not service.pid(CONTROL_BASE):
            self.attempt(partial(links.delete_interface, route.interface))

    def _standing(self, one: Keyed) -> list[Policy]:
        """What the kernel has of its policies, also for what traffic the file said before it was changed."""
        number, alone = {one.route.reqid}, list(self._conns_of(one.route.reqid)) == [one.name]
        named = [policy for policy in self._of_same_traffic(one) if _reqids(policy) <= number]
        return named + [
            policy for policy in self._by_hand() if alone and _reqids(policy) == number and policy not in named
        ]

    def _of_same_traffic(self, one: Keyed) -> list[Policy]:
        names = set(map(encode.policy_id, one.protecting + one.resting))
        return [policy for policy in self._by_hand() if encode.policy_id(policy) in names]

    def _by_hand(self) -> list[Policy]:
        return list(filter(ours.MANUAL.has, self.kernel.list_policies()))

    def _is_up(self, one: Keyed) -> bool:
        """A shunt is up when its policy is there."""
        action = one.protecting[0].action
        return any(policy.templates if one.sas else policy.action is action for policy in self._standing(one))

    def _refuse_rivals(self, one: Keyed) -> None:
        """Two conns for the same traffic, or with one SPI: the kernel could not tell them apart."""
        if one.sas and self._is_up(one):
            raise CygnetError(f'"{one.name}" is up already: ipsec manual --down {one.name} comes first')
        keys, number = {sa.key for sa in one.sas}, one.route.reqid
        traffic = (each for policy in self._of_same_traffic(one) for each in _reqids(policy) - {number})
        clashes = [("is for the same traffic: take that down first", reqid) for reqid in traffic]
        for key, reqid in self.kernel.list_sas() if one.sas else ():
            if key in keys or reqid == number:
                clashes.append((f"has SPI 0x{key.spi:x}: give each conn an spi= of its own", reqid))
        for why, reqid in clashes:
            others = (f'conn "{name}" ({at})' for name, at in self._conns_of(reqid).items() if name != one.name)
            owner = "the daemon" if reqid in ours.REQIDS else next(others, "an SA that was set by hand")
            raise ConfError(one.route.connection.where, f'"{one.name}" cannot be brought up, as {owner} {why}')

    def _conns_of(self, reqid: int) -> dict[str, str]:
        """Which conns of the file have this number, and where it stands."""
        spi, found = f"{reqid - ours.MANUAL_REQIDS.start:x}", {}
        for name, settings in self.configuration.manual.items():
            given = settings.get("spi") or settings.get("spibase")
            if given and given.value.lower().removeprefix("0x").lstrip("0") == spi:
                found[name] = given.where
        return found

    def _call(self, one: Keyed, verb: str) -> None:
        self.updown.run(occasion(one, verb))


def _reqids(policy: Policy) -> set[int]:
    return {template.reqid for template in policy.templates}


def occasion(one: Keyed, verb: str) -> Occasion:
    """A call of the updown script."""
    return Occasion(verb, one.route.connection, one.route.span, one.route.interface, one.route.reqid)
