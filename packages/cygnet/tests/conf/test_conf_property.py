"""Whatever a configuration says, written in any of the ways that the manual allows, is read as it was meant."""

from __future__ import annotations

import tempfile
from pathlib import Path

from conf_box import BOX, resolve
from cygnet.conf import load
from cygnet.connection.connection import Connection
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9._-]{0,12}", fullmatch=True)
NETS = st.tuples(st.integers(1, 223), st.integers(0, 255), st.integers(8, 30))
SECONDS = st.integers(1200, 28800)
# What a conn may say: parameter, how its value is written, the field, how that field shows it.
WRITERS = {
    "keylife": (SECONDS, lambda value: f"{value}s", lambda found: int(found.key_life)),
    "ikelifetime": (SECONDS, str, lambda found: int(found.ike_lifetime)),
    "keyingtries": (st.integers(0, 9), lambda value: str(value or "%forever"), lambda found: found.keying_tries),
    "rekeyfuzz": (st.integers(0, 100), lambda value: f"{value}%", lambda found: round(found.rekey_fuzz * 100)),
    "pfs": (st.booleans(), lambda value: "yes" if value else "no", lambda found: found.pfs),
    "compress": (st.booleans(), lambda value: "yes" if value else "no", lambda found: found.compress),
    "metric": (st.integers(1, 1000), str, lambda found: found.metric),
    "leftsubnet": (NETS, lambda net: f"{net[0]}.{net[1]}/{net[2]}", lambda found: str(found.here.subnet)),
    "leftid": (NAMES, lambda name: f"@{name}", lambda found: str(found.here.id)),
    "rightid": (NAMES, lambda name: f"{name}@example.com", lambda found: str(found.there.id)),
    "leftupdown": (NAMES, lambda name: f"/bin/{name} with words", lambda found: found.here.updown),
}
VALUES = st.fixed_dictionaries({}, optional={name: row[0] for name, row in WRITERS.items()})
EQUALS = st.sampled_from(["=", " = ", "\t=\t", "= "])
INDENTS = st.sampled_from(["\t", "    ", " "])
NOISE = st.sampled_from(["", "\n", "# comment\n", "\t# indented comment\n", " \n"])


def expected(name: str, value: object) -> object:
    """How the field of a parameter shows this value."""
    if name == "leftsubnet":
        from ipaddress import ip_network

        return str(ip_network((f"{value[0]}.{value[1]}.0.0", value[2]), strict=False))
    if isinstance(value, str):
        return {"leftid": f"@{value}", "rightid": f"{value}@example.com", "leftupdown": f"/bin/{value} with words"}[
            name
        ]
    return value


def written(draw: st.DrawFn, name: str, text: str) -> str:
    """One line that says so."""
    quoted = f'"{text}"' if " " in text or draw(st.booleans()) else text
    comment = draw(st.sampled_from(["", "  ", " # why not", ' # "quoted"']))
    return f"{draw(NOISE)}{draw(INDENTS)}{name}{draw(EQUALS)}{quoted}{comment}\n"


@st.composite
def configurations(draw: st.DrawFn) -> tuple[str, dict[str, dict[str, object]]]:
    """A file, and what its conns say; each parameter stands in the conn, in a part, mirrored in a part, or in %default."""
    conns = draw(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4))
    head, body = "version 2\n", ""
    for number, (conn, values) in enumerate(conns.items()):
        parts = {"": "", "also": "", "alsoflip": ""}
        for name, value in values.items():
            where = draw(st.sampled_from(list(parts)))
            shown = name
            if where == "alsoflip":
                shown = name.replace("left", "LEFT").replace("right", "left").replace("LEFT", "right")
            parts[where] += written(draw, shown, WRITERS[name][1](value))
        body += f"{draw(NOISE)}conn {conn}\n\tleft=10.0.0.1\n\tright=10.12.12.{number + 1}\n{parts['']}"
        for how in ("also", "alsoflip"):
            body += f"\t{how}=part-{how}-{number}\n"
            head += f"conn part-{how}-{number}\n{parts[how]}" if draw(st.booleans()) else ""
            if f"part-{how}-{number}\n" not in head:
                body += f"conn part-{how}-{number}\n{parts[how]}" if how == "alsoflip" else ""
                head += f"conn part-{how}-{number}\n{parts[how]}" if how == "also" else ""
    return head + body, conns


@settings(max_examples=80, deadline=None)
@given(configurations())
def test_what_is_written_is_what_is_read(case):
    text, conns = case
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ipsec.conf"
        path.write_text(text)
        found = load(path, BOX, resolve)
    assert not [problem for problem in found.problems if "same traffic" not in problem], text
    assert set(found.connections) == set(conns)
    plain = Connection("", *[found.connections[next(iter(conns))].here] * 2)
    for conn, values in conns.items():
        for name, (_, _, show) in WRITERS.items():
            if name in values:
                assert show(found.connections[conn]) == expected(name, values[name]), (name, text)
            elif "left" not in name and "right" not in name:
                assert show(found.connections[conn]) == show(plain)
