"""The payloads of IKEv1, each declared once as a table of fields (RFC 2408, section 3).

Parsing, building and printing all come from the tables; see `fields` for their language.
"""

from __future__ import annotations

from dataclasses import dataclass

from cygnet.connection.identity import printable
from cygnet.ike.fields import Attributes, Malformed, Wire, build, parse
from cygnet.ike.numbers import DOI_IPSEC, SIT_IDENTITY_ONLY, PayloadType, Protocol, notify_name


@dataclass(frozen=True)
class Transform(Wire):
    """RFC 2408, section 3.6."""

    FIELDS = (("number", "B"), ("id", "B"), ("", "xx"), ("attributes", "attributes"))
    TYPE = PayloadType.TRANSFORM
    number: int
    id: int
    attributes: Attributes = ()

    def get(self, kind: int) -> int | None:
        """The first attribute of a kind, as a number; None if there is none or it is too long for one."""
        for number, value in self.attributes:
            if number == kind:
                if isinstance(value, int):
                    return value
                return int.from_bytes(value, "big") if len(value) <= 8 else None
        return None


@dataclass(frozen=True)
class Proposal(Wire):
    """RFC 2408, section 3.5."""

    FIELDS = (("number", "B"), ("protocol", "B"), ("spi", "B#"), ("transforms", "B#"), ("spi", "bytes"),
              ("transforms", Transform))  # fmt: skip
    TYPE = PayloadType.PROPOSAL
    number: int
    protocol: int
    spi: bytes
    transforms: tuple[Transform, ...]


@dataclass(frozen=True)
class SecurityAssociation(Wire):
    """RFC 2408, section 3.4, with the situation of RFC 2407, section 4.2."""

    FIELDS = (("doi", "I"), ("situation", "I"), ("proposals", Proposal))
    TYPE = PayloadType.SA
    proposals: tuple[Proposal, ...]
    doi: int = DOI_IPSEC
    situation: int = SIT_IDENTITY_ONLY


@dataclass(frozen=True)
class Identification(Wire):
    """RFC 2407, section 4.6.2."""

    FIELDS = (("type", "B"), ("protocol", "B"), ("port", "H"), ("data", "bytes"))
    TYPE = PayloadType.ID
    type: int
    data: bytes
    protocol: int = 0
    port: int = 0


@dataclass(frozen=True)
class Certificate(Wire):
    """RFC 2408, section 3.9; ``encoding`` 4 is X.509 for signatures."""

    FIELDS = (("encoding", "B"), ("data", "bytes"))
    TYPE = PayloadType.CERT
    encoding: int
    data: bytes


@dataclass(frozen=True)
class CertificateRequest(Wire):
    """RFC 2408, section 3.10."""

    FIELDS = (("encoding", "B"), ("data", "bytes"))
    TYPE = PayloadType.CERT_REQUEST
    encoding: int
    data: bytes = b""


@dataclass(frozen=True)
class Notification(Wire):
    """RFC 2408, section 3.14."""

    FIELDS = (("doi", "I"), ("protocol", "B"), ("spi", "B#"), ("type", "H"), ("spi", "bytes"), ("data", "bytes"))
    TYPE = PayloadType.NOTIFY
    type: int
    data: bytes = b""
    spi: bytes = b""
    protocol: int = Protocol.ISAKMP
    doi: int = DOI_IPSEC

    def __str__(self) -> str:
        text = " ".join(map(printable, self.data[:400].split(b" ")))
        return notify_name(self.type) + (f" ({text})" if text and "\\x" not in text else "")


@dataclass(frozen=True)
class Delete(Wire):
    """RFC 2408, section 3.15."""

    FIELDS = (("doi", "I"), ("protocol", "B"), ("size", "B"), ("spis", "H#"), ("spis", "list"))
    TYPE = PayloadType.DELETE
    protocol: int
    spis: tuple[bytes, ...]
    doi: int = DOI_IPSEC


@dataclass(frozen=True)
class Data(Wire):
    """A payload that is bytes and nothing else. Compare with its own subclass, never with this."""

    FIELDS = (("data", "bytes"),)
    data: bytes


class KeyExchangeData(Data):
    """RFC 2408, section 3.7."""

    TYPE = PayloadType.KE


class HashData(Data):
    """RFC 2408, section 3.11."""

    TYPE = PayloadType.HASH


class SignatureData(Data):
    """RFC 2408, section 3.12."""

    TYPE = PayloadType.SIGNATURE


class Nonce(Data):
    """RFC 2408, section 3.13."""

    TYPE = PayloadType.NONCE


class VendorId(Data):
    """RFC 2408, section 3.16."""

    TYPE = PayloadType.VENDOR


class NatDiscovery(Data):
    """RFC 3947, section 3.2."""

    TYPE = PayloadType.NAT_D


@dataclass(frozen=True)
class NatOriginalAddress(Wire):
    """RFC 3947, section 5.2."""

    FIELDS = (("type", "B"), ("", "xx"), ("", "x"), ("data", "bytes"))
    TYPE = PayloadType.NAT_OA
    type: int
    data: bytes


@dataclass(frozen=True)
class Fragment(Wire):
    """A piece of a message too long for the path; ``flags`` 1 is the last one (draft of Cisco's, MS-IKEE 2.2.6)."""

    FIELDS = (("id", "H"), ("number", "B"), ("flags", "B"), ("data", "bytes"))
    TYPE = PayloadType.FRAGMENT
    id: int
    number: int
    flags: int
    data: bytes


KINDS: dict[int, type[Wire]] = {
    int(kind.TYPE): kind
    for kind in (
        SecurityAssociation, KeyExchangeData, Identification, Certificate, CertificateRequest, HashData, SignatureData,
        Nonce, Notification, Delete, VendorId, NatDiscovery, NatOriginalAddress, Fragment,
    )
}  # fmt: skip


COUNTS = ("B#", "H#")
# What `describe` leaves out of a log: key material, or what may help to guess it.
HIDDEN = frozenset({PayloadType.HASH, PayloadType.NONCE, PayloadType.KE})


def decode(kind: int, body: bytes) -> Wire:
    """The payload of type ``kind``. Raises Malformed for types that IKEv1 does not have."""
    if kind not in KINDS:
        raise Malformed(f"payload type {kind} is not one of IKEv1")
    return parse(KINDS[kind], body)


def describe(payload: Wire) -> str:
    """A payload in one line, for the debug log."""
    size = len(build(payload))
    if payload.TYPE in HIDDEN:
        return f"{type(payload).__name__} ({size} bytes)"
    words = [
        f"{name}={getattr(payload, name)!r}"
        for name, form in payload.FIELDS
        if name not in ("", "size") and form not in COUNTS
    ]
    return f"{type(payload).__name__} {' '.join(words)[:300]}"
