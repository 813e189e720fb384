"""From what a quick mode negotiated to the SAs that the kernel is told of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cygnet.connection.selector import Selector
from cygnet.crypto.transforms import CIPHERS, INTEGRITIES
from cygnet.kernel import ours
from cygnet.kernel.interface import KernelError
from cygnet.kernel.sa import Algorithm, Encapsulation, Sa, SaKey
from cygnet.tunnel.child import ChildSa, Leg

_DEFLATE = "deflate"


def inbound_sas(child: ChildSa, reqid: int, if_id: int) -> list[Sa]:
    """What we receive by, innermost first."""
    return list(_sas(child, reqid, if_id, outbound=False))


def outbound_sas(child: ChildSa, reqid: int, if_id: int, hide_tos: bool = True) -> list[Sa]:
    """What we send by, innermost first. Its packets are marked, so that they do not enter a tunnel again."""
    return [replace(sa, hide_tos=hide_tos and sa.mode == "tunnel") for sa in _sas(child, reqid, if_id, outbound=True)]


def sa_key(child: ChildSa, leg: Leg, outbound: bool) -> SaKey:
    """What names the SA of a leg in the kernel."""
    destination, spi = (child.remote, leg.spi_out) if outbound else (child.local, leg.spi_in)
    return SaKey(destination, leg.protocol, spi, child.connection.mark)


def _sas(child: ChildSa, reqid: int, if_id: int, outbound: bool) -> Iterator[Sa]:
    if not (child.protecting[0].integrity or CIPHERS[child.protecting[0].encryption].aead):
        raise KernelError(f'#{child.serial} of "{child.connection.name}" would be encryption without integrity')
    for index, leg in enumerate(child.legs):
        encryption, integrity, aead = _algorithms(leg, leg.key_out if outbound else leg.key_in)
        yield Sa(
            source=child.local if outbound else child.remote,
            key=sa_key(child, leg, outbound),
            reqid=reqid,
            mode="transport" if index else child.mode,
            outbound=outbound,
            encryption=encryption,
            integrity=integrity,
            aead=aead,
            compression=_DEFLATE if leg.protocol == "comp" else "",
            replay_window=_window(child) if leg.protocol != "comp" else 0,
            esn=child.esn and leg.protocol != "comp",
            hard_seconds=_beyond(child.lifetime),
            if_id=if_id,
            encapsulation=_encapsulation(child.ports, outbound) if leg.protocol == "esp" else None,
            selectors=_selectors(child, outbound),
            set_mark=ours.UNDERLAY_MARK if outbound and if_id else 0,
        )


def _window(child: ChildSa) -> int:
    """Extended sequence numbers cannot do without."""
    return child.connection.replay_window or int(child.esn)


def _algorithms(leg: Leg, key: bytes) -> tuple[Algorithm | None, Algorithm | None, Algorithm | None]:
    """Encryption, integrity, combined mode."""
    encryption = integrity = aead = None
    if leg.encryption:
        cipher = CIPHERS[leg.encryption]
        made = Algorithm(cipher.kernel, key[: leg.cipher_key_bytes], cipher.icv_bits)
        encryption, aead = (None, made) if cipher.aead else (made, None)
    if leg.integrity:
        row = INTEGRITIES[leg.integrity]
        integrity = Algorithm(row.kernel, key[leg.cipher_key_bytes :], row.icv_bits)
    return encryption, integrity, aead


def _encapsulation(ports: tuple[int, int] | None, outbound: bool) -> Encapsulation | None:
    if ports is None:
        return None
    here, there = ports
    return Encapsulation(here, there) if outbound else Encapsulation(there, here)


def _selectors(child: ChildSa, outbound: bool) -> tuple[Selector, Selector] | None:
    if child.mode == "tunnel":
        return None
    return (child.ours, child.theirs) if outbound else (child.theirs, child.ours)


def _beyond(lifetime: float) -> int:
    """The engine rekeys by its own clock; the kernel's is the net beneath it, a little later. 0 is no limit."""
    return int(lifetime * 1.05) + 60 if lifetime else 0
