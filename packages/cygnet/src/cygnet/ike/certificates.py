"""Certificates in IKE: our own beside its key, and the peer's against the identity that it claims (RFC 4945).

Files are read when a negotiation first needs them; `forget` (ipsec auto --rereadall) reads them again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cygnet.connection.connection import Connection, End
from cygnet.connection.identity import Identity
from cygnet.ike.numbers import Notify
from cygnet.ike.v1.exchange import Refused

if TYPE_CHECKING:
    from cygnet.crypto.rsa import PublicKey
    from cygnet.crypto.trust import Trust

CA_FOLDER = Path("/etc/ipsec.d/cacerts")
CRL_FOLDER = Path("/etc/ipsec.d/crls")
MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class OwnCertificate:
    """A certificate of a file of ours, and the public key in it."""

    der: bytes
    public_key: PublicKey


class Certificates:
    """``clock``: what time it is, for validity."""

    def __init__(
        self,
        strict_crl: bool = False,
        folders: tuple[Path, Path] = (CA_FOLDER, CRL_FOLDER),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._strict, self._folders, self._clock = strict_crl, folders, clock
        self._trust: Trust | None = None
        self._own: dict[Path, OwnCertificate] = {}

    def forget(self) -> None:
        """Read the files again when they are next needed."""
        self._trust = None
        self._own.clear()

    def own(self, path: Path) -> OwnCertificate:
        """The certificate of a file that the configuration names. Raises Refused."""
        from cygnet.crypto.certificates import CertificateError, load, public_key

        if path not in self._own:
            try:
                with path.open("rb") as file:
                    der = load(file.read(MOST_BYTES))[0]
                self._own[path] = OwnCertificate(der, public_key(der))
            except (OSError, CertificateError, IndexError) as error:
                reason = getattr(error, "strerror", None) or str(error) or "no certificate in it"
                raise Refused(Notify.INVALID_CERTIFICATE, f"{path}: {reason}") from None
        return self._own[path]

    def name(self, connection: Connection) -> Connection:
        """The connection, its ends that have a certificate and no id= called by the certificate's subject."""
        return replace(connection, here=self._named(connection.here), there=self._named(connection.there))

    def _named(self, end: End) -> End:
        if end.cert is None or end.id is not None:
            return end
        from cygnet.crypto.certificates import identities

        return replace(end, id=identities(self.own(end.cert).der)[0])

    def verify(self, sent: Sequence[bytes], peer_id: Identity, ca: str) -> PublicKey:
        """The key of the peer's certificate, the first of those ``sent``. Raises Refused."""
        from cygnet.crypto.certificates import CertificateError, claims
        from cygnet.crypto.names import name_to_der
        from cygnet.crypto.trust import Trust

        if self._trust is None:
            self._trust = Trust.load(*self._folders, self._strict)
        try:
            if not claims(sent[0], peer_id):
                raise CertificateError(f"the peer's certificate is not for {peer_id}, which the peer says it is")
            return self._trust.verify_chain(sent[0], list(sent[1:]), self._clock(), name_to_der(ca) if ca else b"")
        except (CertificateError, ValueError) as error:
            raise Refused(Notify.INVALID_CERTIFICATE, str(error)) from None
