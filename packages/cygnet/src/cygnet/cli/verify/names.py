"""Names and their addresses: this host's own, the peers', and who answers for them."""

from __future__ import annotations

from collections.abc import Iterator

from cygnet.cli.verify.scene import Finding, Problem, Scene
from cygnet.connection.connection import Address, AuthBy
from cygnet.connection.identity import Identity


def findings(scene: Scene) -> Iterator[Finding]:
    """Peers whose names have no address now are problems of the configuration already."""
    named = sorted({end.name for one in scene.connections for end in (one.here, one.there) if end.name})
    if named and "nameserver" not in scene.text("etc/resolv.conf"):
        text = f"/etc/resolv.conf names no server, and {', '.join(named[:5])} must be found"
        yield Finding("DNS server", (Problem(text, "write addresses for names, or set DNS= in /etc/cygnet/network"),))
    host = scene.text("proc/sys/kernel/hostname")
    if host and not scene.resolve(host):
        text = f"{host}, this host's own name, has no address"
        yield Finding("Own host name", (Problem(text, f"a line in /etc/hosts: 127.0.1.1 {host}", grave=False),))
    strange = [one.here for one in scene.connections if one.there.strangers and one.auth_by is not AuthBy.NEVER]
    for identity, address in dict.fromkeys((end.identity, end.host) for end in strange):
        if identity and address:
            yield from _own_records(scene, identity, address)


def _own_records(scene: Scene, identity: Identity, address: Address) -> Iterator[Finding]:
    """What strangers find of this host: who is called asks for the identity, who calls for the address."""
    own = {key.public.blob for key in scene.secrets.private_keys(identity)}
    at_address = Identity.address(address)
    for name in dict.fromkeys((identity, at_address)):
        problem = _lacking(scene, name, own)
        if problem and name != identity:
            problem = problem._replace(text=f"{problem.text}: this host can call, and cannot be called", grave=False)
        yield Finding(f"DNS: own key of {name}", (problem,) if problem else ())


def _lacking(scene: Scene, name: Identity, own: set[bytes]) -> Problem | None:
    keys, said = in_dns(scene, name)
    if own.intersection(keys):
        return None
    form = "--key" if str(name).startswith("@") else f"--txt {name}"
    remedy = f"whoever runs that zone needs the record that ipsec showhostkey {form} prints"
    return Problem(said or "what stands there is no key of this host's", remedy)


def in_dns(scene: Scene, name: Identity) -> tuple[list[bytes], str]:
    """The keys that the DNS has for an identity; and why there are none."""
    from cygnet.dns.resolver import subject
    from cygnet.ike.directory import keys_at, questions
    from cygnet.ike.v1.exchange import Refused

    try:
        answers = scene.ask(questions(name))
    except Refused as problem:
        return [], str(problem)
    found = keys_at(name, answers)
    said = [f"{subject(question)} {answer.problem}" for question, answer in answers.items() if answer.problem]
    return found, "" if found or len(said) < len(answers) else "; ".join(said)
