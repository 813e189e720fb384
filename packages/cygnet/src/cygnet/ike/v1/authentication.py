"""Who the peer is: HASH_I and HASH_R, proved by a pre-shared key or an RSA signature (RFC 2409, section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cygnet.connection.connection import Connection
from cygnet.connection.identity import Identity, IdType
from cygnet.crypto import mac
from cygnet.ike.fields import Malformed, Wire
from cygnet.ike.message import Message
from cygnet.ike.numbers import CERT_X509_SIGNATURE, Auth, Notify
from cygnet.ike.payloads import Certificate, CertificateRequest, HashData, Identification, SignatureData
from cygnet.ike.v1.exchange import Refused

if TYPE_CHECKING:
    from cygnet.crypto.rsa import PrivateKey, PublicKey
    from cygnet.ike.engine import Engine
    from cygnet.ike.v1.main_mode import MainMode

LACKING = (
    'no secret for {ours} and {theirs}: /etc/ipsec.secrets needs a line `{ours} {theirs} : PSK "..."`, then '
    "ipsec auto --rereadsecrets"
)
MOST_CERTIFICATES = 6


def preshared_key(engine: Engine, connection: Connection) -> bytes:
    """The key of a connection's two ends. Raises Refused if there is none."""
    here, there = connection.here.identity, connection.there.identity
    key = engine.secrets.preshared_key(here, there) if here else None
    if key is None:
        theirs = there or "%any"
        raise Refused(Notify.AUTHENTICATION_FAILED, LACKING.format(ours=here, theirs=theirs))
    return key


def private_key(engine: Engine, connection: Connection) -> PrivateKey:
    """Our signing key: the one whose public half the connection names, else the first that fits."""
    here = connection.here.identity
    found = engine.secrets.private_keys(here) if here else []
    named = set(connection.here.public_keys)
    if connection.here.cert:
        named = {engine.certificates.own(connection.here.cert).public_key.blob}
    fitting = [key for key in found if key.public.blob in named] if named else found
    if not fitting:
        wanted = " that belongs to its certificate or rsasigkey" if named else ""
        raise Refused(
            Notify.AUTHENTICATION_FAILED,
            f"no RSA private key for {here}{wanted}: /etc/ipsec.secrets needs `: RSA ...` (ipsec newhostkey makes one)",
        )
    return fitting[0]


def proof(main: MainMode, identification: Identification, ours: bytes) -> tuple[Wire, ...]:
    """Our identity, and what proves it; ``ours`` is our HASH."""
    connection = main.sa.live.connection
    if main.auth is Auth.PRESHARED:
        return identification, HashData(ours)
    signature = SignatureData(private_key(main.engine, connection).sign_hash(ours))
    if connection.here.cert and _wanted(main):
        certificate = Certificate(CERT_X509_SIGNATURE, main.engine.certificates.own(connection.here.cert).der)
        return identification, certificate, signature
    return identification, signature


def _wanted(main: MainMode) -> bool:
    send = main.sa.live.connection.here.send_cert
    return send in ("always", "yes") or (send == "ifasked" and main.asked_for_certificate)


def request(connection: Connection) -> tuple[CertificateRequest, ...]:
    """Ask for a certificate where we know the peer by nothing else."""
    known = connection.there.public_keys or connection.there.cert
    return () if known else (CertificateRequest(CERT_X509_SIGNATURE),)


def check(main: MainMode, message: Message, peer_id: Identity, expected: bytes) -> None:
    """Raise Refused unless the peer proved that it is ``peer_id``; ``expected`` is its HASH."""
    if main.auth is Auth.PRESHARED:
        # The keys are those of the first connection that it could be; they must be those of the one that it is.
        proved = mac.same(message.one(HashData).data, expected)
        if not proved or not mac.same(main.preshared_skeyid(), main.skeyid):
            raise Refused(
                Notify.AUTHENTICATION_FAILED,
                f"peer {peer_id} does not have the same secret as this box: compare its PSK in both ipsec.secrets",
            )
        return
    signature = message.one(SignatureData).data
    keys = _public_keys(main, message, peer_id)
    if not keys:
        raise Refused(
            Notify.AUTHENTICATION_FAILED,
            f"no public key known for {peer_id}: the connection needs its rsasigkey=, or a certificate of a CA we know",
        )
    proving = next((key for key in keys if key.verify_hash(signature, expected)), None)
    if proving is None:
        raise Refused(
            Notify.INVALID_SIGNATURE,
            f"the signature of {peer_id} was not made by the private key that belongs to the public key we have for it",
        )
    main.sa.peer.key = proving.blob


def _public_keys(main: MainMode, message: Message, peer_id: Identity) -> list[PublicKey]:
    from cygnet.crypto.rsa import PublicKey

    end = main.sa.live.connection.there
    found = [PublicKey.from_blob(blob) for blob in end.public_keys]
    if end.cert:
        found.append(main.engine.certificates.own(end.cert).public_key)
    sent = [cert.data for cert in message.all(Certificate) if cert.encoding == CERT_X509_SIGNATURE]
    if sent and not found:
        if len(sent) > MOST_CERTIFICATES:
            raise Malformed(f"{len(sent)} certificates")
        found.append(main.engine.certificates.verify(sent, peer_id, end.ca))
    if not found and end.keys_from_dns:
        found = main.engine.directory.keys(main.sa, main.sa.live.connection, peer_id)
    return found


def identification(connection: Connection) -> Identification:
    """Our identity as a payload."""
    here = connection.here.identity
    if here is None:
        raise Refused(Notify.INVALID_ID_INFORMATION, f"{connection.where}: this end has no identity: set its id=")
    return Identification(here.type, here.data)


def identity(payload: Identification) -> Identity:
    """The identity that a peer claims. Raises Malformed for types and sizes that it cannot have."""
    sizes = {IdType.IPV4_ADDR: 4, IdType.IPV6_ADDR: 16}
    allowed = (*sizes, IdType.FQDN, IdType.USER_FQDN, IdType.DER_ASN1_DN, IdType.KEY_ID)
    if payload.type not in allowed or not 0 < len(payload.data) <= 1024:
        raise Malformed(f"an identity of type {payload.type} and {len(payload.data)} bytes")
    kind = IdType(payload.type)
    if sizes.get(kind, len(payload.data)) != len(payload.data):
        raise Malformed(f"an address of {len(payload.data)} bytes")
    if payload.protocol not in (0, 17) or payload.port not in (0, 500, 4500):
        raise Malformed("an identity of phase 1 with a protocol or port other than IKE's (RFC 2407, section 4.6.2)")
    return Identity(kind, payload.data)
