"""Each connection by itself: whether it can come up, and do what it says, with what is on this host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from cygnet.cli.verify.names import in_dns
from cygnet.cli.verify.scene import Finding, Problem, Scene
from cygnet.connection.connection import AuthBy, Auto, Connection, End, HostKind, Type
from cygnet.connection.identity import Identity
from cygnet.connection.local import away
from cygnet.errors import CygnetError
from cygnet.why.host import Way

LEAST_SECRET = 16
SOON = timedelta(days=30)
NEGOTIATED = (Type.TUNNEL, Type.TRANSPORT)
Check = Callable[[Scene, Connection], Iterator[Problem]]


def findings(scene: Scene) -> Iterator[Finding]:
    """One for each connection."""
    for one in scene.configuration.connections.values():
        problems = [problem for check in CHECKS for problem in check(scene, one)]
        if one.auto is Auto.IGNORE:
            problems = [problem._replace(grave=False) for problem in problems]
        yield Finding(f'Connection "{one.name}"', tuple(problems))


def _start(_scene: Scene, one: Connection) -> Iterator[Problem]:
    if one.auto is Auto.IGNORE:
        text = f"{one.where}: auto=ignore, so nothing loads it"
        yield Problem(text, "auto=add to be called, auto=route or start to call", grave=False)
    if one.auto in (Auto.ROUTE, Auto.START) and one.there.kind is HostKind.ANY:
        text = f"{one.where}: auto={one.auto.value}, but a peer that can be anyone has to call"
        yield Problem(text, "write auto=add", grave=False)


def _away(_scene: Scene, one: Connection) -> Iterator[Problem]:
    if reason := away(one):
        yield Problem(f"{one.where}: it waits: {reason}", "it comes up by itself once it is there", grave=False)


def _weak(_scene: Scene, one: Connection) -> Iterator[Problem]:
    if one.weak:
        remedy = "leave ike= and esp= out, unless the peer has nothing better"
        yield Problem(f"{one.where}: it allows weak {', '.join(one.weak)}", remedy, grave=False)


def _subnets(scene: Scene, one: Connection) -> Iterator[Problem]:
    """Whether the two ends' traffic can be told apart, and ours is here."""
    here, there, side = one.here.subnet, one.there.subnet, one.there.side
    if one.type is not Type.TUNNEL:
        return
    if here and there and here.overlaps(there) and 0 not in (here.prefixlen, there.prefixlen):
        text = f"{one.where}: {here} here and {there} there are {'the same' if here == there else 'not apart'}"
        yield Problem(text, "give one of the two networks other addresses", grave=here == there)
    for network, card in scene.attached.items() if there else ():
        if there and there.version == network.version and there.prefixlen and there.overlaps(network):
            text = f"{one.where}: {side}subnet={there} overlaps with {network}, which is on {card} here"
            yield Problem(text, "give one of the two other addresses", grave=there.prefixlen >= network.prefixlen)
    way = scene.inward(here) if here else Way()
    within = any(address in here for each in scene.local.addresses.values() for address in each) if here else True
    if not within and (way.problem or way.interface in (one.here.interface, scene.virtual(one))):
        text = f"{one.where}: {one.here.side}subnet={here} is behind no other interface of this host"
        yield Problem(text, f"correct it, set up the card to it, or ip route add {here} via ROUTER", grave=False)
    if one.here.source_ip and not scene.local.interface_of(one.here.source_ip):
        text = f"{one.where}: {one.here.side}sourceip={one.here.source_ip} is no address of this host"
        yield Problem(text, "write one of its addresses within its subnet")


def _identities(_scene: Scene, one: Connection) -> Iterator[Problem]:
    if one.here.identity and one.here.identity == one.there.identity:
        text = f"{one.where}: both ends say they are {one.here.identity}"
        yield Problem(text, f"write another {one.there.side}id=, the same at both ends")


def _by(one: Connection, method: AuthBy) -> bool:
    """Whether it may be negotiated with this kind of proof."""
    return one.auth_by in (method, AuthBy.EITHER) and one.type in NEGOTIATED and one.auto is not Auto.MANUAL


def _secret(scene: Scene, one: Connection) -> Iterator[Problem]:
    if not _by(one, AuthBy.SECRET) or one.here.identity is None:
        return
    ours, theirs = one.here.identity, one.there.identity
    key = scene.secrets.preshared_key(ours, theirs)
    if key is None:
        line = f'{ours} {theirs or "%any"} : PSK "..."'
        text = f"{one.where}: there is no secret for {ours} and {theirs or '%any'}"
        yield Problem(text, f"a line in ipsec.secrets: {line}, then: ipsec secrets", one.auth_by is AuthBy.SECRET)
    elif len(key) < LEAST_SECRET:
        text = f"{one.where}: its secret is short; whoever answers as the peer can guess it offline"
        yield Problem(text, "ipsec ranbits --quick 256 prints a good one, for both ends", grave=False)


def _own_key(scene: Scene, one: Connection) -> Iterator[Problem]:
    """A private key that belongs to what the connection says of this end."""
    if not _by(one, AuthBy.RSASIG) or one.here.identity is None:
        return
    side, grave = one.here.side, one.auth_by is AuthBy.RSASIG
    keys = {key.public.blob for key in scene.secrets.private_keys(one.here.identity)}
    if not keys:
        text = f"{one.where}: there is no private key for {one.here.identity}"
        yield Problem(text, "ipsec newhostkey --output /etc/ipsec.secrets makes one", grave)
    elif one.here.public_keys and not keys & set(one.here.public_keys):
        text = f"{one.where}: {side}rsasigkey= belongs to none of this host's private keys"
        yield Problem(text, f"ipsec showhostkey --{side} prints the right line, for both ends", grave)


def _peer_key(scene: Scene, one: Connection) -> Iterator[Problem]:
    """Something to know the peer by."""
    if not _by(one, AuthBy.RSASIG) or one.there.public_keys or one.there.cert or one.there.strangers:
        return
    if any((scene.folder / "ipsec.d/cacerts").glob("*")):
        return
    if one.there.keys_from_dns and one.there.identity and in_dns(scene, one.there.identity)[0]:
        return
    side = one.there.side
    text = f"{one.where}: nothing is known to prove the peer's identity by: no key, no certificate, no CA"
    remedy = f"ipsec showhostkey --{side} on the peer prints {side}rsasigkey=, for this file"
    yield Problem(text, remedy, one.auth_by is AuthBy.RSASIG and one.there.kind is HostKind.ADDRESS)


def _certificates(scene: Scene, one: Connection) -> Iterator[Problem]:
    for end in (one.here, one.there):
        if end.cert and _by(one, AuthBy.RSASIG):
            yield from _certificate(scene, one, end, end.cert)


def _certificate(scene: Scene, one: Connection, end: End, path: Path) -> Iterator[Problem]:
    from cygnet.crypto.certificates import claims, identities, load, public_key, validity

    try:
        der = load(path.read_bytes())[0]
        times, key, named = validity(der), public_key(der), identities(der)
    except (OSError, CygnetError, IndexError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "there is no certificate in it"
        yield Problem(f"{one.where}: {end.side}cert={path}: {reason}", "put the certificate there, as PEM or DER")
        return
    yield from _validity(scene, path, *times)
    if end.id and not claims(der, end.id):
        text = f"{one.where}: {end.side}id={end.id} does not stand in {path}, which is for {_listed(named)}"
        yield Problem(text, f"leave {end.side}id= out, or write one of these, the same at both ends")
    own = {each.key.public.blob for each in scene.secrets.private}
    if end is one.here and key.blob not in own:
        text = f"{path}: no private key in ipsec.secrets belongs to it"
        yield Problem(text, "put the key into /etc/ipsec.d/private, and `: RSA FILE` into ipsec.secrets")


def _validity(scene: Scene, path: Path, begins: datetime, ends: datetime) -> Iterator[Problem]:
    if scene.now < begins:
        text = f"{path}: it is not valid before {begins:%F %T} UTC, and the clock here says {scene.now:%F %T}"
        yield Problem(text, "set the clock, or wait")
    elif ends < scene.now + SOON:
        gone = ends < scene.now
        text = f"{path}: it {'expired' if gone else 'expires'} at {ends:%F %T} UTC"
        yield Problem(text, "have the CA issue another, then: ipsec auto --rereadall", grave=gone)


def _listed(identities: list[Identity]) -> str:
    return ", ".join(map(str, identities[:5]))


CHECKS: tuple[Check, ...] = (_start, _away, _weak, _subnets, _identities, _secret, _own_key, _peer_key, _certificates)
