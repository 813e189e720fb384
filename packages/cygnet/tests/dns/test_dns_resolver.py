"""A resolver among name servers that are slow, dead, lying, or too fond of talking."""

from __future__ import annotations

from collections.abc import Callable

import dns.message
import pytest
from cygnet.dns.cache import MOST_ENTRIES, Answer, Cache
from cygnet.dns.message import TXT, Question
from cygnet.dns.resolver import MOST_AT_ONCE, MOST_WAITING
from dns_server import FIRST, SECOND, SOA, Lab, Reply, answering, silent

TEXT = 'gate.example.org. 300 IN TXT "one"'
ONE = (b"\x03one",)


def test_an_answer_is_asked_for_once_as_long_as_it_holds() -> None:
    lab = Lab({FIRST: answering(TEXT)})
    first, second = lab.ask("gate.example.org", "TXT"), lab.ask("GATE.example.org.", "TXT")
    lab.run(0)
    assert [one.data for one in first + second] == [ONE, ONE]
    assert lab.ask("gate.example.org", "TXT")[0].data == ONE
    assert lab.asked == [(FIRST, False)]
    lab.now += 301
    assert lab.ask("gate.example.org", "TXT") == []
    lab.run(0)
    assert len(lab.asked) == 2
    assert lab.open == set()


def test_a_no_is_remembered_too() -> None:
    lab = Lab({FIRST: answering(rcode="NXDOMAIN", authority=SOA)})
    found = lab.ask("gate.example.org", "TXT")
    lab.run(0)
    assert (found[0].data, found[0].problem, found[0].certain) == ((), "does not exist", True)
    assert lab.ask("gate.example.org", "TXT") == found
    lab.now += 301
    assert lab.ask("gate.example.org", "TXT") == []


def test_a_dead_server_costs_its_patience_and_the_next_answers() -> None:
    lab = Lab({FIRST: silent, SECOND: answering(TEXT)})
    found = lab.ask("gate.example.org", "TXT")
    lab.run()
    assert found[0].data == ONE
    assert lab.asked == [(FIRST, False), (SECOND, False)]


def test_all_dead_is_told_and_tried_again_soon() -> None:
    lab = Lab({FIRST: silent, SECOND: silent})
    found = lab.ask("gate.example.org", "TXT")
    lab.run()
    assert not found[0].certain
    assert "198.51.100.53 does not answer" in found[0].problem
    assert len(lab.asked) == 6
    assert lab.now - 1000 < 25
    lab.now += 21
    assert lab.ask("gate.example.org", "TXT") == []


def test_without_a_server_the_answer_says_so() -> None:
    assert "no name server in /etc/resolv.conf" in Lab({}).ask("gate.example.org", "TXT")[0].problem


def test_a_server_in_trouble_is_left_for_the_next() -> None:
    lab = Lab({FIRST: answering(rcode="SERVFAIL"), SECOND: answering(TEXT)})
    found = lab.ask("gate.example.org", "TXT")
    lab.run(0)
    assert found[0].data == ONE


def test_what_is_too_large_comes_by_tcp() -> None:
    large = "gate.example.org. 300 IN TXT " + " ".join(f'"{"x" * 250}"' for _ in range(8))
    lab = Lab({FIRST: answering(large)})
    found = lab.ask("gate.example.org", "TXT")
    lab.run(0)
    assert len(found[0].data[0]) == 8 * 251
    assert lab.asked == [(FIRST, False), (FIRST, True)]


def test_a_thousand_keys_are_one_entry_and_no_answer() -> None:
    lab = Lab({FIRST: answering(*(f'gate.example.org. 300 IN TXT "{n}"' for n in range(1000)))})
    found = lab.ask("gate.example.org", "TXT")
    lab.run()
    assert (found[0].data, found[0].certain) == ((), False)
    assert len(lab.resolver.cache) == 1


def test_a_slow_answer_counts_as_long_as_it_is_waited_for() -> None:
    lab = Lab({FIRST: silent, SECOND: answering(TEXT)})
    found = lab.ask("gate.example.org", "TXT")
    ((late, _, packet, _),) = lab._queue
    lab.run()
    assert found[0].data == ONE
    # The first one's comes when the second has been believed.
    other = answering('gate.example.org. 300 IN TXT "two"')(dns.message.from_wire(packet))
    assert isinstance(other, dns.message.Message)
    lab.resolver.received(late, other.to_wire(), lab.now)
    assert lab.ask("gate.example.org", "TXT")[0].data == ONE


def lying(change: Callable[[bytes], bytes]) -> Reply:
    """A true answer of one record, and what has become of it."""

    def reply(query: dns.message.Message) -> bytes:
        made = answering(TEXT)(query)
        assert isinstance(made, dns.message.Message)
        return change(made.to_wire())

    return reply


DATA = b"\x00\x04\x03one"
FAULTS: dict[str, Reply] = {
    "dead": silent,
    "in trouble": answering(rcode="SERVFAIL"),
    "more records said than there are": lying(lambda wire: wire[:6] + b"\xff\xff" + wire[8:]),
    "a record said longer than it is": lying(lambda wire: wire.replace(DATA, b"\xff\xff" + DATA[2:])),
    "cut short whatever way it comes": lying(lambda wire: wire[:2] + bytes((wire[2] | 2,)) + wire[3:]),
    "nothing": lambda _: b"",
    "64 KiB of nothing": lambda query: query.to_wire()[:2] + bytes(65000),
    "a thousand keys": answering(*(f"gate.example.org. 300 IN KEY 16896 4 1 AQ{n:04}AA" for n in range(1000))),
    "a thousand texts": answering(*(f'gate.example.org. 300 IN TXT "{n}"' for n in range(1000))),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_a_server_does_costs_one_entry_and_bounded_time(fault: str) -> None:
    lab = Lab({FIRST: FAULTS[fault], SECOND: FAULTS[fault]})
    found = lab.ask("gate.example.org", "KEY" if "keys" in fault else "TXT")
    lab.run()
    assert [(answer.data, answer.certain) for answer in found] == [((), False)]
    assert len(lab.resolver.cache) == 1
    assert lab.open == set()
    assert lab.resolver.next_deadline() is None
    assert lab.now - 1000 < 25
    assert len(lab.asked) <= 12


def test_guessed_answers_are_ignored_and_the_true_one_counts() -> None:
    lab = Lab({FIRST: silent})
    found = lab.ask("gate.example.org", "TXT")
    (ticket,), (_, _, packet, _) = lab.open, lab._queue[0]
    true = answering(TEXT)(dns.message.from_wire(packet))
    assert isinstance(true, dns.message.Message)
    wire = true.to_wire()
    for guess in range(5):
        lab.resolver.received(ticket, bytes((wire[0] ^ 1, guess)) + wire[2:], lab.now)
    assert found == []
    lab.resolver.received(ticket, wire, lab.now)
    assert found[0].data == ONE
    # What comes after that has no socket any more.
    lab.resolver.received(ticket, wire, lab.now)
    assert len(found) == 1


def test_each_try_has_another_number() -> None:
    lab, numbers = Lab({FIRST: silent, SECOND: silent}), []
    lab.servers = dict.fromkeys(lab.servers, lambda query: numbers.append(query.id))
    lab.ask("gate.example.org", "TXT")
    lab.run()
    assert len(set(numbers)) > 3


@pytest.mark.parametrize("trusted", [True, False])
def test_whose_word_counts_for_signatures(trusted: bool) -> None:
    lab = Lab({FIRST: answering(TEXT, ad=True)}, trusted)
    found = lab.ask("gate.example.org", "TXT")
    lab.run(0)
    assert found[0].authentic is trusted


def test_look_ups_are_bounded_in_number() -> None:
    lab = Lab({FIRST: silent})
    most = MOST_AT_ONCE + MOST_WAITING
    found = [lab.ask(f"h{number}.example.org", "TXT") for number in range(most + 1)]
    assert len(lab.open) == MOST_AT_ONCE
    assert "too many look-ups" in found[-1][0].problem
    # Each gets an answer in the end, and nothing is left open.
    lab.run(10_000)
    assert all(len(one) == 1 for one in found)
    assert (lab.open, lab.resolver.next_deadline()) == (set(), None)


def test_a_refused_socket_is_another_try() -> None:
    lab = Lab({FIRST: silent, SECOND: answering(TEXT)})
    found = lab.ask("gate.example.org", "TXT")
    lab.resolver.failed(next(iter(lab.open)), "Connection refused", lab.now)
    lab.run(0)
    assert found[0].data == ONE


def test_the_cache_is_bounded() -> None:
    cache = Cache()
    for number in range(MOST_ENTRIES + 10):
        cache.put(Question((str(number).encode(),), TXT), Answer(ONE), 300, 0.0)
    assert len(cache) == MOST_ENTRIES
    assert cache.get(Question((b"0",), TXT), 1.0) is None
    assert cache.get(Question((b"4105",), TXT), 1.0) == Answer(ONE)


@pytest.mark.parametrize(
    ("answer", "longest"), [(Answer(ONE), 3600), (Answer(problem="x"), 600), (Answer(certain=False), 20)]
)
def test_nothing_is_believed_for_longer_than_it_should(answer: Answer, longest: float) -> None:
    cache, question = Cache(), Question((b"a",), TXT)
    cache.put(question, answer, 1e9, 0.0)
    assert cache.get(question, longest - 1) == answer
    assert cache.get(question, longest + 1) is None
