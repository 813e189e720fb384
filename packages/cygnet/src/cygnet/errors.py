"""What can go wrong, as one sentence for whoever caused it.

Every layer has its own exception below `CygnetError`; it says what, where and what to do, and is
turned into a line of text in one place only: the command (cli/) or the daemon's log.
"""

from __future__ import annotations


class CygnetError(Exception):
    """One sentence for the user. Never holds key material."""
