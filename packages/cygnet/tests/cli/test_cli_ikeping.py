"""``ipsec ikeping``: who answers, what an answer says, and that nothing else counts as one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from cygnet.cli import ikeping, main
from cygnet.conf import proposals
from cygnet.connection.connection import AuthBy, Connection, End
from cygnet.errors import CygnetError
from cygnet.ike.message import HEADER_SIZE, Header, join, read_clear, read_header
from cygnet.ike.numbers import VENDOR_DPD, Exchange, Notify, PayloadType
from cygnet.ike.payloads import Notification, SecurityAssociation, VendorId
from cygnet.ike.v1.phase_one import choose, offer_payload, offers
from hypothesis import given
from hypothesis import strategies as st

COOKIE, THEIRS = b"our cook", b"theirs!!"
ASKED = ikeping.question(COOKIE, Exchange.MAIN)


def connection(ike: str, auth: AuthBy = AuthBy.SECRET) -> Connection:
    return Connection("x", End("left"), End("right"), auth_by=auth, ike=tuple(proposals.ike(ike)[0]))


def message(exchange: int, *payloads: object, cookie: bytes = COOKIE, **header: int) -> bytes:
    chain = join(payloads)  # type: ignore[arg-type]
    first = payloads[0].TYPE if payloads else PayloadType.NONE  # type: ignore[attr-defined]
    rcookie = THEIRS if header.pop("known", 1) else bytes(8)
    return Header(cookie, rcookie, first, exchange, **header).pack(HEADER_SIZE + len(chain)) + chain


def accepted(ike: str, asked: bytes = ASKED) -> SecurityAssociation:
    """What a responder with these proposals answers."""
    theirs = read_clear(read_header(asked), asked).one(SecurityAssociation)
    return choose(theirs, offers(connection(ike))).answer


def test_the_question_is_one_packet_that_a_responder_can_read() -> None:
    header = read_header(ASKED)
    assert (header.icookie, header.rcookie, header.exchange) == (COOKIE, bytes(8), Exchange.MAIN)
    assert len(ASKED) < 1280
    assert accepted("3des-md5-modp1024")
    assert accepted("aes256-sha2_256-ecp256")


ANSWERS = {
    "accepts": (message(Exchange.MAIN, accepted("aes256-sha2_256-modp2048")), "accepts aes_256-sha2_256-group14 by preshared secret"),
    "accepts an old one": (message(Exchange.MAIN, accepted("3des-sha1-modp1024")), "accepts 3des_192-sha1-group2 by preshared secret"),
    "refuses": (
        message(Exchange.INFORMATIONAL, Notification(Notify.NO_PROPOSAL_CHOSEN, b"this end takes: x")),
        "refuses: NO_PROPOSAL_CHOSEN (this end takes: x)",
    ),
    "refuses with tricks": (
        message(Exchange.INFORMATIONAL, Notification(Notify.NO_PROPOSAL_CHOSEN, b"\x1b[2J\nroot#")),
        "refuses: NO_PROPOSAL_CHOSEN",
    ),
    "another version": (message(Exchange.MAIN, version=0x20), "speaks IKE version 2, not 1"),
}  # fmt: skip
NONE = {
    "empty": b"",
    "short": ASKED[:27],
    "other cookie": message(Exchange.MAIN, accepted("aes256-sha2_256-modp2048"), cookie=b"not ours"),
    "our own question": ASKED,
    "cut": message(Exchange.MAIN, accepted("aes256-sha2_256-modp2048"))[:-1],
    "more": message(Exchange.MAIN, accepted("aes256-sha2_256-modp2048")) + b"\0",
    "encrypted": message(Exchange.MAIN, accepted("aes256-sha2_256-modp2048"), flags=1),
    "quick mode": message(Exchange.QUICK, accepted("aes256-sha2_256-modp2048")),
    "no cookie of its own": message(Exchange.MAIN, accepted("aes256-sha2_256-modp2048"), known=0),
    "not offered": message(Exchange.MAIN, offer_payload(connection("aes256-sha2_512-modp4096"))),
    "everything": message(Exchange.MAIN, ikeping.offer()),
    "two": message(Exchange.MAIN, *[accepted("aes256-sha2_256-modp2048")] * 2),
    "nothing": message(Exchange.MAIN),
    "no notification": message(Exchange.INFORMATIONAL, VendorId(b"x")),
    "an echo that was not asked for": message(Exchange.MAIN + 1),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_told_in_words(name: str) -> None:
    assert ikeping.answer(ANSWERS[name][0], ASKED) == ANSWERS[name][1]


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_answer_counts_for_nothing(name: str) -> None:
    with pytest.raises(CygnetError):
        ikeping.answer(NONE[name], ASKED)


@given(st.binary(max_size=200) | st.builds(lambda tail: COOKIE + tail, st.binary(max_size=200)))
def test_no_bytes_do_harm(noise: bytes) -> None:
    try:
        said = ikeping.answer(noise, ASKED, verbose=True)
    except CygnetError:
        return
    assert said.isprintable()


@given(st.integers(0, 400), st.binary(min_size=1, max_size=4))
def test_nor_do_answers_that_were_tampered_with(at: int, noise: bytes) -> None:
    for packet, _ in ANSWERS.values():
        try:
            assert ikeping.answer(packet[:at] + noise + packet[at + len(noise) :], ASKED, verbose=True).isprintable()
        except CygnetError:
            continue


def test_vendor_ids_are_told_on_request() -> None:
    packet = message(Exchange.MAIN, accepted("aes256-sha2_256-modp2048"), VendorId(VENDOR_DPD), VendorId(b"\x1b[2J"))
    assert ikeping.answer(packet, ASKED, verbose=True).endswith("; vendor ids: dead peer detection, 1b5b324a")
    assert "vendor" not in ikeping.answer(packet, ASKED)


def test_the_echo_of_freeswan() -> None:
    asked = ikeping.question(COOKIE, 244)
    assert len(asked) == HEADER_SIZE
    assert ikeping.answer(message(245), asked) == "answers the echo"


@contextmanager
def peer(address: str, answers: Callable[[bytes], list[bytes]]) -> Iterator[int]:
    """Somebody at an address of this host; what they answer to each packet. Gives the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind((address, 0))
        made.settimeout(10)

        def serve() -> None:
            while True:
                packet, sender = made.recvfrom(65535)
                if packet == b"end":
                    return
                for each in answers(packet):
                    made.sendto(each, sender)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield made.getsockname()[1]
        finally:
            made.sendto(b"end", made.getsockname())
            thread.join(10)


def good(packet: bytes, before: tuple[bytes, ...] = (), marker: bytes = b"") -> list[bytes]:
    asked = packet[len(marker) :]
    answer = message(Exchange.MAIN, accepted("aes256-sha2_256-modp2048", asked), cookie=asked[:8])
    return [*before, marker + answer]


def test_who_answers_and_who_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    """Given a peer, one that forges, one that is silent, and a port where nobody is, then each is told apart."""
    forged = (message(Exchange.MAIN, ikeping.offer(), cookie=b"not ours"), b"noise")
    with (
        peer("127.0.0.5", good) as first,
        peer("127.0.0.6", lambda packet: good(packet, forged)) as second,
        peer("127.0.0.7", lambda packet: []) as third,
    ):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.bind(("127.0.0.8", 0))
            nobody = gone.getsockname()[1]
        places = [f"127.0.0.5/{first}", f"127.0.0.6/{second}", f"127.0.0.7/{third}", f"127.0.0.8/{nobody}"]
        assert main(["ikeping", "--wait", "1", *places]) == 1
    out = capsys.readouterr().out
    taken = "accepts aes_256-sha2_256-group14 by preshared secret"
    assert f"{places[0]}: {taken}\n" in out
    assert f"{places[1]}: a packet came that counts for nothing: a message with a cookie that was not sent\n" in out
    assert f"{places[1]}: {taken}\n" in out
    assert f"{places[2]}: no answer: " in out
    assert f"UDP port {third} is shut" in out
    assert out.count(places[3]) == out.count(f"{places[3]}: {ikeping.NOBODY}\n") == 1
    assert out.endswith("4 asked, 2 answered\n")


def test_behind_a_nat_the_marker_goes_along(capsys: pytest.CaptureFixture[str]) -> None:
    with peer("127.0.0.5", lambda packet: good(packet, (b"\0\0\0\1esp",), bytes(4))) as port:
        assert main(["ikeping", "--natt", f"127.0.0.5/{port}"]) == 0
    assert "it lacks the marker of port 4500" in capsys.readouterr().out


def test_a_lost_packet_is_asked_for_again(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[bytes] = []

    def deaf_once(packet: bytes) -> list[bytes]:
        asked.append(packet)
        return good(packet) if len(asked) > 1 else []

    with peer("127.0.0.5", deaf_once) as port:
        assert main(["ikeping", "--ikeaddress", "127.0.0.9", f"127.0.0.5/{port}"]) == 0
    assert asked[0] == asked[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "usage: ipsec ikeping"),
        (["no such host"], "'no such host' is no address"),
        (["192.0.2.1/0"], "port is a number from 1 to 65535"),
        (["192.0.2.1/500/1"], "port is a number from 1 to 65535"),
        (["--wait", "0", "192.0.2.1"], "--wait is a number from 1"),
        (["--exchangenum", "256", "192.0.2.1"], "--exchangenum is a number from 1 to 255"),
        (["--inet6", "192.0.2.1"], "'192.0.2.1' is no address"),
    ],
)
def test_a_wrong_command_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ikeping", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_flood_of_noise_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    flood = tuple(message(Exchange.QUICK, VendorId(b"x"), version=0x10 + number) for number in range(15)) * 10
    flood += tuple(message(exchange, VendorId(b"x")) for exchange in range(6, 100))
    with peer("127.0.0.5", lambda packet: good(packet, flood)) as port:
        main(["ikeping", "--wait", "1", f"127.0.0.5/{port}"])
    assert len(capsys.readouterr().out.splitlines()) < 15


def test_an_address_that_is_not_ours_cannot_ask(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ikeping", "--ikeaddress", "192.0.2.77", "127.0.0.5"]) == 1
    assert "cannot ask 127.0.0.5 from 192.0.2.77, port 0: Cannot assign requested address" in capsys.readouterr().err
