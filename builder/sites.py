"""Site files, read and rendered by packages/site: programs of ours, imported from their source.

The one place of the builder that knows where these packages are.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.errors import CygnetError
from builder.settings import PROJECT

if TYPE_CHECKING:
    from cygnet_site.model import Site
    from cygnet_site.render import File

SOURCES = tuple(str(PROJECT / "packages" / name / "src") for name in ("cygnet", "site"))
sys.path += [source for source in SOURCES if source not in sys.path]


@contextmanager
def told() -> Iterator[None]:
    """An error of these packages as one of the builder's, for the user."""
    from cygnet.errors import CygnetError as PackageError

    try:
        yield
    except PackageError as error:
        raise CygnetError(str(error)) from None


def read(path: Path) -> Site:
    """The site of a file. CygnetError names file and line of all that is wrong."""
    from cygnet_site import read_site

    with told():
        return read_site(path)


def parse(data: bytes, path: Path) -> Site:
    """The same from the bytes that ``path`` will have."""
    from cygnet_site.read import parse as parsed

    with told():
        return parsed(data, path)


def render(site: Site) -> dict[str, File]:
    """What the box gets, by path below its data partition."""
    from cygnet_site.render import render as rendered

    with told():
        return rendered(site)


def problems(site: Site) -> list[str]:
    """What those say who will read the files: one sentence with file and line each; none if all is well."""
    from cygnet_site.check import problems as found

    return found(site)


def schema() -> dict[str, Any]:
    """The JSON schema of site files."""
    from cygnet_site.schema import schema as made

    return made()
