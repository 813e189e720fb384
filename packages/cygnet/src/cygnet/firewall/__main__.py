"""``python -m cygnet.firewall DESCRIPTION NETWORK FOLDER``: rules for an image, made where it is built."""

from __future__ import annotations

import sys
from pathlib import Path

from cygnet.errors import CygnetError
from cygnet.firewall.files import write
from cygnet.firewall.read import read
from cygnet.firewall.render import render


def main(words: list[str]) -> int:
    """Exit status 1 if the description is wrong, which is then said."""
    if len(words) != 3:
        print("usage: python -m cygnet.firewall DESCRIPTION NETWORK FOLDER", file=sys.stderr)
        return 2
    description, network, folder = map(Path, words)
    try:
        write(folder, render(read(description, network)), description.read_bytes())
    except CygnetError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


sys.exit(main(sys.argv[1:]))
