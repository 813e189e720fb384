"""What the DNS has said, as long as it holds: yes and no alike (RFC 2308), and trouble for a short while."""

from __future__ import annotations

from dataclasses import dataclass

from cygnet.dns.message import Question

MOST_ENTRIES = 4096
# Seconds: an answer of 0 still serves those who ask in the same moment; nothing is believed for more than an hour.
SHORTEST, LONGEST = 1, 3600
NEGATIVE_LONGEST = 600
TROUBLE = 20


@dataclass(frozen=True)
class Answer:
    """``data``: of the records; () with ``problem``, a sentence's end: "does not exist".

    ``authentic``: its signatures were checked by a name server that is trusted to say so.
    ``certain``: the DNS has said so; False where it could not be asked.
    """

    data: tuple[bytes, ...] = ()
    authentic: bool = False
    problem: str = ""
    certain: bool = True


class Cache:
    """The oldest entries go when there are too many."""

    def __init__(self) -> None:
        self._entries: dict[Question, tuple[float, Answer]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, question: Question, now: float) -> Answer | None:
        """What was said, if it still holds."""
        end, answer = self._entries.get(question, (now, None))
        return answer if end > now else None

    def put(self, question: Question, answer: Answer, ttl: float, now: float) -> None:
        """Remember an answer for ``ttl`` seconds, within bounds."""
        longest = LONGEST if answer.data else NEGATIVE_LONGEST if answer.certain else TROUBLE
        self._entries.pop(question, None)
        if len(self._entries) >= MOST_ENTRIES:
            del self._entries[next(iter(self._entries))]
        self._entries[question] = (now + min(max(ttl, SHORTEST), longest), answer)

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
