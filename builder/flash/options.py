"""What a user may say about a flashing, beside what goes where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """The switches of ./inv flash.

    ``keep_data``: what the data partition holds stays; ``yes``: nobody is asked; ``any_size`` and ``fixed_disk``: so is
    a disk taken that is larger than a card, or that is not removable.
    """

    keep_data: bool = False
    yes: bool = False
    any_size: bool = False
    fixed_disk: bool = False
