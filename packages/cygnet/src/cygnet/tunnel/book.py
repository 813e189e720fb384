"""Who wants which policy. Two connections may want policies of the same name, and the kernel has one of each name.

The one that matters more (smaller priority, then the latest) is in the kernel; when it goes, the other takes its
place in the same moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from cygnet.connection.selector import Selector
from cygnet.kernel.interface import Kernel, KernelError
from cygnet.kernel.policy import Direction, Policy

Owner = tuple[str, str, Direction]
_Name = tuple[Direction, Selector, Selector, int, int, int]
_Winners = dict[_Name, Policy | None]


class PolicyBook:
    """All claims on policies, kept true in the kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._claims: dict[Owner, tuple[Policy, ...]] = {}
        self._rivals: dict[_Name, dict[Owner, Policy]] = {}

    def claimed(self, owner: Owner) -> tuple[Policy, ...]:
        """What an owner has now."""
        return self._claims.get(owner, ())

    def claim(self, owner: Owner, policies: Sequence[Policy]) -> None:
        """Replace all that an owner had, in this order. When the kernel refuses, everything is as it was before."""
        had, wanted = self.claimed(owner), tuple(policies)
        if had == wanted:
            return
        names = dict.fromkeys(_name(policy) for policy in wanted + had)
        before = self._winners(names)
        self._register(owner, had, wanted)
        after = self._winners(names)
        try:
            self._change(before, after)
        except KernelError:
            self._register(owner, wanted, had)
            with suppress(KernelError):
                self._change(after, before)
            raise

    def renew(self, owner: Owner) -> None:
        """Put the traps of an owner that are in force in their places again: the kernel looks at what waits there."""
        for policy in self.claimed(owner):
            if policy.templates and policy == _winner(self._rivals[_name(policy)].values()):
                self._kernel.put_policy(policy)

    def _register(self, owner: Owner, had: Sequence[Policy], wanted: tuple[Policy, ...]) -> None:
        for policy in had:
            rivals = self._rivals[_name(policy)]
            del rivals[owner]
            if not rivals:
                del self._rivals[_name(policy)]
        for policy in wanted:
            self._rivals.setdefault(_name(policy), {})[owner] = policy
        self._claims[owner] = wanted
        if not wanted:
            del self._claims[owner]

    def _winners(self, names: Iterable[_Name]) -> _Winners:
        return {name: _winner(self._rivals.get(name, {}).values()) for name in names}

    def _change(self, before: _Winners, after: _Winners) -> None:
        """First what comes, then what goes: there is no moment without either."""
        for name, policy in after.items():
            if policy and policy != before[name]:
                self._kernel.put_policy(policy)
        for name, policy in before.items():
            if policy and not after[name]:
                self._kernel.delete_policy(policy)


def _winner(rivals: Iterable[Policy]) -> Policy | None:
    return min(reversed(list(rivals)), key=lambda policy: policy.priority, default=None)


def _name(policy: Policy) -> _Name:
    return (policy.direction, policy.source, policy.destination, policy.if_id, policy.mark, policy.interface)
