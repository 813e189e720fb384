"""Things that are found by more than one of their properties, in the same time however many they are."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


class Index(Generic[Item]):
    """``keys``: by what an item is found; when that changes, it is to be added again. In the order of their coming."""

    def __init__(self, keys: Callable[[Item], Iterable[Hashable]]) -> None:
        self._keys = keys
        self._items: dict[Item, tuple[Hashable, ...]] = {}
        self._found: dict[Hashable, dict[Item, None]] = {}

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item: Item) -> bool:
        return item in self._items

    def add(self, item: Item) -> None:
        """Keep an item, by the keys that it has now."""
        self.discard(item)
        keys = self._items[item] = tuple(dict.fromkeys(self._keys(item)))
        for key in keys:
            self._found.setdefault(key, {})[item] = None

    def discard(self, item: Item) -> None:
        """Keep it no more."""
        for key in self._items.pop(item, ()):
            del self._found[key][item]
            if not self._found[key]:
                del self._found[key]

    def at(self, *keys: Hashable) -> list[Item]:
        """The items that have any of these keys."""
        return list(dict.fromkeys(item for key in keys for item in self._found.get(key, ())))
