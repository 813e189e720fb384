"""Every transform that Cygnet has, one by one, with strongSwan: negotiated by name, and the same keys at both ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cygnet.crypto.transforms import CIPHERS, GROUPS, INTEGRITIES, Cipher
from cygnet_node import Cygnet
from meeting import CYGNET, SECRETS, SWAN, Meeting
from network import Namespaces
from strongswan import StrongSwan
from topology import joined

# Ours -> strongSwan's, where the names differ.
NAMES = {
    "aes": "aes{}",
    "aes_ctr": "aes{}ctr",
    "aes_gcm8": "aes{}gcm64",
    "aes_gcm12": "aes{}gcm96",
    "aes_gcm": "aes{}gcm128",
    "sha2_256": "sha256",
    "sha2_384": "sha384",
    "sha2_512": "sha512",
}
# Without a number in IKEv1's registry, and unknown to strongSwan there.
NOT_IN_IKEV1 = ("chacha20poly1305",)
Names = tuple[str, str]


def keyed(cipher: Cipher) -> Iterator[Names]:
    """(ours, strongSwan's) of a cipher with each length of its key."""
    for bits in cipher.key_bits:
        yield cipher.name if cipher.fixed else f"{cipher.name}_{bits}", NAMES.get(cipher.name, cipher.name).format(bits)


def hashes_and_groups() -> Iterator[Names]:
    """Each hash, then each group, with what is usual."""
    for name in INTEGRITIES:
        yield f"aes128-{name}-modp2048", f"aes128-{NAMES.get(name, name)}-modp2048"
    for group in GROUPS.values():
        yield f"aes128-sha2_256-{group.name}", f"aes128-sha256-{group.name}"


def ike_proposals() -> Iterator[Names]:
    """ike= of both."""
    for cipher in CIPHERS.values():
        if cipher.ike:
            yield from ((f"{ours}-sha2_256-modp2048", f"{theirs}-sha256-modp2048") for ours, theirs in keyed(cipher))
    yield from hashes_and_groups()


def esp_proposals() -> Iterator[Names]:
    """esp= of both; a group in it is for PFS."""
    for cipher in CIPHERS.values():
        if cipher.name not in NOT_IN_IKEV1:
            hashes = ("", "") if cipher.aead else ("-sha2_256", "-sha256")
            yield from (
                (f"{ours}{hashes[0]}-modp2048", f"{theirs}{hashes[1]}-modp2048") for ours, theirs in keyed(cipher)
            )
    yield from hashes_and_groups()


@pytest.fixture(scope="module")
def running(strongswan_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meeting]:
    """Both daemons, for all proposals."""
    folder = tmp_path_factory.mktemp("proposals")
    with Namespaces() as network:
        west, east = joined(network)
        found = Meeting(Cygnet(west, folder / "cygnet"), StrongSwan(east, strongswan_tree, folder / "strongswan"))
        found.start()
        yield found


def negotiate(meeting: Meeting, by: str, ours: dict[str, str], theirs: dict[str, str]) -> None:
    """Replace the connection by one with these proposals, bring it up, compare keys, take it down."""
    meeting.swan.load(str(replace(SWAN, **theirs)))
    meeting.cygnet.reload(replace(CYGNET, more=ours), SECRETS)
    meeting.bring_up(by)
    meeting.cygnet.auto("--down")
    meeting.gone()


@pytest.mark.parametrize(("ours", "theirs"), dict(ike_proposals()).items(), ids=dict(ike_proposals()))
def test_ike(running: Meeting, ours: str, theirs: str) -> None:
    """A phase 1 of each cipher, hash and group, each asked for by one of both ends"""
    by = "cygnet" if len(ours) % 2 else "strongswan"
    negotiate(running, by, {"ike": ours}, {"ike": theirs})


@pytest.mark.parametrize(("ours", "theirs"), dict(esp_proposals()).items(), ids=dict(esp_proposals()))
def test_esp(running: Meeting, ours: str, theirs: str) -> None:
    """A phase 2 of each cipher, hash and PFS group, each asked for by one of both ends"""
    by = "strongswan" if len(ours) % 2 else "cygnet"
    negotiate(running, by, {"esp": ours}, {"esp": theirs})


@pytest.mark.parametrize("by", ["cygnet", "strongswan"])
def test_without_pfs(running: Meeting, by: str) -> None:
    """A phase 2 without a key exchange of its own"""
    negotiate(running, by, {"pfs": "no"}, {"esp": "aes128-sha256"})


@pytest.mark.parametrize("by", ["cygnet", "strongswan"])
def test_defaults(running: Meeting, by: str) -> None:
    """What both offer when nobody says anything but that there is no PFS, which strongSwan does not offer by itself"""
    negotiate(running, by, {"ike": "", "esp": "", "pfs": "no"}, {"ike": "default", "esp": "default"})
