"""The public halves of all boxes, for others: as conns that `also=` can name, and as records for a DNS zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from builder.fleet.table import Row, Table

CONF, ZONE = "public.conf", "public.zone"
# Of a TXT record's string (RFC 1035, section 3.3.14).
LONGEST = 255
_CONF_HEAD = "# Public keys: include this file, and write also=key-NAME into a conn whose left end is NAME.\n"
_ZONE_HEAD = "; Public keys: KEY (RFC 2535) and IPSECKEY (RFC 4025) at each name, TXT (RFC 4322) at each address.\n"


def files(table: Table, publics: Mapping[str, str]) -> dict[str, bytes]:
    """Both files; the keys by the boxes' names, as leftrsasigkey= has them."""
    rows = [row for row in table.rows.values() if row.name in publics]
    conns = (f"\nconn key-{row.name}\n    leftid={row.id}\n    leftrsasigkey={publics[row.name]}\n" for row in rows)
    records = (f"{record}\n" for row in rows for record in _records(row, publics[row.name].removeprefix("0s")))
    return {CONF: "".join([_CONF_HEAD, *conns]).encode(), ZONE: "".join([_ZONE_HEAD, *records]).encode()}


def _records(row: Row, key: str) -> Iterator[str]:
    """A name with a dot is a whole one, another is in the zone that includes the file."""
    name = row.id.removeprefix("@")
    name = f"{name}." if "." in name else name
    gateway = f"1 2 {row.address}" if row.address else "0 2 ."
    yield f"{name}\tIN\tKEY\t0x4200 4 1 {key}"
    yield f"{name}\tIN\tIPSECKEY\t10 {gateway} {key}"
    if row.address:
        yield f"{row.address.reverse_pointer}.\tIN\tTXT\t{_strings(f'X-IPsec-Server(10)={row.address} {key}')}"


def _strings(text: str) -> str:
    return " ".join(f'"{text[at : at + LONGEST]}"' for at in range(0, len(text), LONGEST))
