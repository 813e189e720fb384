"""The site file: one text that describes a box, and the files that the box has for it.

::

    lines (where a key stands)
      |-> read (the text) -> model (what it means) -> render (files of the box) -> check (by those who read them)
    kinds (what a value may be) -> model -> schema (for editors)

Runs where boxes are made and on the box itself. It needs Jinja2 only where something is rendered.
"""

from cygnet_site.errors import SiteError
from cygnet_site.read import read_site

__all__ = ["SiteError", "read_site"]
