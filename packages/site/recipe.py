"""site: reader and renderer of site files, ours, as byte code where Debian's Python looks.

Its templates go onto the box as Python functions: Jinja2 stays where images are made. Of the time zones the box has
one line each, from Debian's tzdata.
"""

import shutil
import sys

from builder.recipes.build import Build
from builder.recipes.package import Package

package = Package(
    source=None,
    licence="Apache-2.0",
    summary="site files: one text that describes a box",
    licence_files=("LICENSE",),
    depends=("python", "cygnet"),
    tools=("python", "timezones"),
)

MODULES = "usr/lib/python3/dist-packages/cygnet_site"


def build(b: Build) -> None:
    shutil.copyfile(b.recipe / "LICENSE", b.source / "LICENSE")
    modules = b.root / MODULES
    source = b.recipe / "src/cygnet_site"
    shutil.copytree(source, modules, ignore=shutil.ignore_patterns("__pycache__", "templates", "schema.py", "py.typed"))
    program = [sys.executable, "-P", "-B"]
    places = {"PYTHONPATH": f"{b.recipe / 'src'}:{b.recipe.parent / 'cygnet/src'}"}
    b.run(*program, b.recipe / "compile_templates.py", source / "templates", modules / "compiled.py", env=places)
    zones = b.tools / "usr/share/zoneinfo"
    b.run(*program, "-m", "cygnet_site.timezone", zones, modules / "timezones", env=places)
    b.compile_python(modules, f"/{MODULES}")
