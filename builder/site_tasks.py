"""What `./inv site` does: begin a site file, check it, show what its box gets, compare two of them."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from builder import sites
from builder.errors import CygnetError
from builder.names import unknown
from builder.settings import PROJECT

if TYPE_CHECKING:
    from cygnet_site.render import File

EXAMPLES = PROJECT / "docs/examples/sites"
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def run(action: str, file: str, other: str, kind: str) -> None:
    """See tasks.site."""
    if action not in ACTIONS:
        raise unknown("action of ./inv site", action, ACTIONS)
    if kind and action != "new":
        raise CygnetError(f"--kind={kind}: only ./inv site new begins a file of a kind")
    ACTIONS[action](Path(file), other if action == "diff" else kind)


def new(file: Path, kind: str) -> None:
    """A commented file of a kind, for a box that is called as the file is."""
    kinds = {example.stem: example for example in sorted(EXAMPLES.glob("*.toml"))}
    chosen = [name for name in kinds if name == kind] or [name for name in kinds if kind and name.startswith(kind)]
    if len(chosen) != 1:
        raise CygnetError(f"--kind={kind}: write one of {', '.join(kinds)}; so many letters as it needs will do")
    name = file.name.removesuffix(".toml")
    if not HOST.fullmatch(name):
        raise CygnetError(f"{file}: the box cannot be called {name[:80]!r}: letters, digits, hyphens, 63 at most")
    text = re.sub(r'(?m)^name = ".*"$', f'name = "{name}"', kinds[chosen[0]].read_text(), count=1)
    _write(file, text, replace=False)
    print(f"{file}: a {chosen[0].replace('-', ' ')}. Edit it; then: ./inv site check {file}")


def check(file: Path, _: str) -> None:
    """What is wrong with the file and with what it makes."""
    site = sites.read(file)
    if found := sites.problems(site):
        raise CygnetError("\n".join(found))
    print(f"{file}: {site.name} can be made of it")


def show(file: Path, _: str) -> None:
    """The files of the box, but for secrets and for rules that are made from others of them."""
    for name, made in sorted(sites.render(sites.read(file)).items()):
        print(f"# /{name}{'' if made.mode == 0o644 else f' (mode {made.mode:o})'}{_without(name, made)}")
        if not _without(name, made):
            print(made.content.decode("utf-8", "replace"))


def diff(file: Path, other: str) -> None:
    """What differs on the boxes of two files."""
    before, after = (sites.render(sites.read(one)) for one in (file, Path(other)))
    changed = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    for name in changed:
        for line in _difference(name, before.get(name), after.get(name)):
            print(line)
    if not changed:
        print(f"{file} and {other} make the same box")


def schema(file: Path, _: str) -> None:
    """The JSON schema of site files, for editors."""
    _write(file, schema_text(), replace=True)
    print(f"{file}: the JSON schema of site files")


def schema_text() -> str:
    """As docs/site.schema.json has it."""
    return json.dumps(sites.schema(), indent=2) + "\n"


ACTIONS: dict[str, Callable[[Path, str], None]] = {
    "new": new, "check": check, "show": show, "diff": diff, "schema": schema,
}  # fmt: skip


def _without(name: str, made: File) -> str:
    """Why a file is not shown."""
    size = f"{len(made.content)} bytes"
    if made.secret:
        return f": secret, {size}"
    return f": made from the policy, {size}" if "/firewall.rules/" in name else ""


def _difference(name: str, before: File | None, after: File | None) -> Iterator[str]:
    one = after or before
    if one and (reason := _without(name, one)):
        only = "" if before and after else "second" if after else "first"
        yield f"# /{name} {f'is there in the {only} only' if only else 'differs'}{reason}"
        return
    old, new = ((file.content.decode("utf-8", "replace").splitlines() if file else []) for file in (before, after))
    yield from difflib.unified_diff(old, new, f"/{name}", f"/{name}", n=2, lineterm="")


def _write(file: Path, text: str, replace: bool) -> None:
    """The file whole or not at all; without ``replace`` one that is there stays."""
    if file.exists() and not replace:
        raise CygnetError(f"{file} is there already, and stays as it is: take another name")
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_text(text)
        temporary.replace(file)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise CygnetError(f"{file}: cannot be written: {error.strerror}") from None
