"""No key shows: not in logs, not in what `--up` and `--status` print, not in the repr of anything the engine holds."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Iterator
from dataclasses import fields, is_dataclass

import pytest
from cygnet.crypto import derive
from cygnet.crypto.rsa import PrivateKey
from cygnet.ike.v1.main_mode import MainMode
from simulation import PSK, Box, Network, established, pair

from test_ike_negotiation import rsa  # isort: skip


def spellings(secret: bytes) -> Iterator[str]:
    """How a secret would look in a text: its repr, hex, or as a number."""
    yield repr(secret)[2:-1]
    yield secret.hex()
    yield str(int.from_bytes(secret, "big"))
    yield repr(bytearray(secret))[12:-2]


def reachable(*roots: object) -> list[object]:
    """Every object of ours that the engine leads to."""
    found: dict[int, object] = {}
    todo = list(roots)
    while todo:
        one = todo.pop()
        if id(one) in found or isinstance(one, (type, str, bytes, int, float)) or "module" in type(one).__name__:
            continue
        found[id(one)] = one
        if type(one).__module__.split(".")[0] in ("cygnet", "builtins", "collections"):
            todo += [ref for ref in gc.get_referents(one) if not callable(ref)]
    return [one for one in found.values() if type(one).__module__.startswith("cygnet.")]


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Every key that is derived from now on."""
    made: dict[str, bytes] = {"PSK": PSK}
    for name in ("skeyid_psk", "skeyid_signature", "keymat"):
        original = getattr(derive, name)

        def keep(*arguments: object, original: object = original, name: str = name) -> bytes:
            made[f"{name} {len(made)}"] = result = original(*arguments)  # type: ignore[operator]
            return result  # type: ignore[no-any-return]

        monkeypatch.setattr(derive, name, keep)
    whole = derive.derive

    def keep_all(*arguments: object) -> derive.PhaseOneKeys:
        result = whole(*arguments)  # type: ignore[arg-type]
        for field in fields(result):
            made[f"{field.name} {len(made)}"] = getattr(result, field.name)
        return result

    monkeypatch.setattr(derive, "derive", keep_all)
    return made


def assert_hidden(keys: dict[str, bytes], words: str) -> None:
    assert [name for name, key in keys.items() for text in spellings(key) if text in words] == []


def words_of(*boxes: Box) -> str:
    return "\n".join(line for box in boxes for line in [*box.log, *box.engine.status(), *map(str, box.heard)])


def test_no_key_shows_in_logs_status_or_reprs(keys: dict[str, bytes]) -> None:
    network, west, east = established(setup=None, key_life=300.0, rekey_margin=30.0, ike_lifetime=400.0)
    network.run(1000)
    assert len(keys) > 20
    assert_hidden(keys, words_of(west, east))
    objects = reachable(west.engine, east.engine, west.kernel, east.kernel)
    assert {"IsakmpSa", "Keys", "Child", "ChildSa", "Leg", "Sa", "Algorithm", "Secrets", "PresharedKey"} <= {
        type(one).__name__ for one in objects
    }
    for one in objects:
        assert_hidden(keys, repr(one))
        assert not is_dataclass(one) or repr(one)


def test_no_private_key_shows(rsa_keys: tuple[PrivateKey, PrivateKey], keys: dict[str, bytes]) -> None:
    network, west, east = rsa(rsa_keys)
    west.up()
    network.run(5)
    for key in rsa_keys:
        numbers = key.secret_numbers()
        keys |= {
            f"{name} {key.public.key_id}": value.to_bytes(1024, "big").lstrip(b"\0")
            for name, value in numbers.items()
            if name not in ("Modulus", "PublicExponent")
        }
    assert_hidden(keys, words_of(west, east))
    for one in reachable(west.engine, east.engine):
        assert_hidden(keys, repr(one))


def test_no_key_shows_in_a_traceback(keys: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    network, west, east = pair(keying_tries=1)
    original = MainMode._keep_iv

    def broken(main: MainMode) -> None:
        original(main)
        try:
            raise ValueError(f"in {main!r} of {main.sa!r} with {main.sa.keys!r} and {main.engine!r}")
        except ValueError as error:
            texts.append("".join(traceback.format_exception(error)))
            raise

    monkeypatch.setattr(MainMode, "_keep_iv", broken)
    west.up()
    network.run(10)
    assert network.bugs()
    assert texts
    assert_hidden(keys, "\n".join(texts) + words_of(west, east))


def test_the_keys_of_both_kernels_are_those_that_were_derived(keys: dict[str, bytes]) -> None:
    network: Network
    network, west, _ = established()
    installed = {sa.aead.key for sa in west.kernel.sas.values() if sa.aead}
    assert installed <= {key for name, key in keys.items() if name.startswith("keymat")}
    assert len(installed) == 2
    assert network.bugs() == []
