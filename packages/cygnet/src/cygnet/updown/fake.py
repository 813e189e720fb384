"""An updown script that only remembers: for tests of what stands above it."""

from __future__ import annotations

from dataclasses import dataclass, field

from cygnet.connection.selector import Network
from cygnet.updown.call import Occasion, UpdownError


@dataclass
class FakeUpdown:
    """``calls``: (verb, connection). ``routes``: the routes that stand, as (interface, network)."""

    calls: list[tuple[str, str]] = field(default_factory=list)
    occasions: list[Occasion] = field(default_factory=list)
    routes: set[tuple[str, Network]] = field(default_factory=set)
    _failures: list[str] = field(default_factory=list)

    def fail(self, *verbs: str) -> None:
        """Make the next call of each of these verbs fail."""
        self._failures += verbs

    def run(self, occasion: Occasion) -> None:
        """Remember it, or fail as told."""
        self.calls.append((occasion.verb, occasion.connection.name))
        self.occasions.append(occasion)
        if occasion.verb in self._failures:
            self._failures.remove(occasion.verb)
            raise UpdownError(f"updown {occasion.verb} of {occasion.connection.name} failed: told to")
        route = (occasion.interface, occasion.span.theirs.network)
        if occasion.verb == "route":
            self.routes.add(route)
        elif occasion.verb == "unroute":
            self.routes.discard(route)
