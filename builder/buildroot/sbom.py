"""``sbom.json`` of an image that Buildroot made: its `make show-info` in the form that the other engine's has.

Facts about show-info, seen with Buildroot 2026.05.1: an object by package; ``type`` is target, host or rootfs; a
``virtual`` package stands for what it depends on; ``licenses`` separates licences by commas, with remarks in
parentheses; ``hashes`` and ``patches`` are files, relative to Buildroot's folder unless they begin with /.  The first
of a download's ``uris`` is the package's own, the others are Buildroot's mirrors: the way of fetching, +, then the
address of the folder, or of the file itself where ``?buildroot-path=filename`` follows.  A kernel of one's own choice
has the version "custom".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import (
    Component,
    ComponentScope,
    ComponentType,
    Diff,
    Patch,
    PatchClassification,
    Pedigree,
)
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from packageurl import PackageURL

from builder.boards import Board
from builder.buildroot.checkout import Checkout
from builder.errors import CygnetError, RecipeError
from builder.papers.licences import checked
from builder.papers.parts import Carried
from builder.papers.sbom import bill, carried_component, image_component, property_list
from builder.steps.store import hash_file

# Host packages that turn source into the image's machine code.
COMPILERS = re.compile(r"host-(gcc-final|binutils|rust|rust-bin)")
REMARK = re.compile(r"\s*\([^()]*\)")
HASH = re.compile(r"sha256\s+(?P<sha256>[0-9a-f]{64})\s+(?P<name>\S+)")
UNKNOWN = "unknown"
URI = re.compile(r"(?:\w+(?:\|\w+)*\+)?(?P<address>(?:https?|ftp)://[^?]*)(?P<whole>\?buildroot-path=filename)?")
CUSTOM = "custom"
NUMBER = re.compile(r"[-_](?P<version>\d[\w.]*?)(?:\.orig)?\.tar\.\w+")


class Download(msgspec.Struct, frozen=True):
    """One file of a package, and where Buildroot looks for it."""

    source: str
    uris: list[str] = []

    @property
    def address(self) -> str:
        """Where its maker has it; nothing for a folder on this machine."""
        found = URI.fullmatch(self.uris[0]) if self.uris else None
        if not found:
            return ""
        return found["address"] if found["whole"] else f"{found['address'].rstrip('/')}/{self.source}"


class Info(msgspec.Struct, frozen=True, rename={"cpe": "cpe-id"}):
    """What show-info says of a package, as far as a bill needs it."""

    type: str
    name: str = ""
    virtual: bool = False
    version: str = ""
    licenses: str = UNKNOWN
    downloads: list[Download] = []
    hashes: list[str] = []
    patches: list[str] = []
    package_dir: str = ""
    dl_dir: str = ""
    install_target: bool = False
    install_images: bool = False
    dependencies: list[str] = []
    cpe: str | None = None

    @property
    def counts(self) -> bool:
        """Whether it is a package whose code may be in the image."""
        return self.type == "target" and not self.virtual


def read(info: object) -> dict[str, Info]:
    """show-info's JSON. Raises CygnetError when it is of another form."""
    try:
        return msgspec.convert(info, dict[str, Info])
    except msgspec.ValidationError as error:
        raise CygnetError(f"Buildroot's show-info is of a form that is not known here: {error}") from None


def make(board: Board, checkout: Checkout, packages: Mapping[str, Info], carried: list[Carried]) -> Bom:
    """The bill of a board's image. ``carried``: what the tools that assembled the image left in it."""
    release = checkout.release.name
    made = {name: _package(name, one, checkout) for name, one in packages.items() if one.counts}
    extra = [carried_component(one) for one in carried]
    tools = [_compiler(name, one) for name, one in packages.items() if COMPILERS.fullmatch(name)]
    image = image_component(board, {"cygnet:engine": "buildroot", "cygnet:buildroot-release": release})
    own = [made[name] for name in made if _on_box(packages[name])]
    needs = [(image, [*own, *extra])]
    needs += [(made[name], [made[other] for other in _needed(packages, name)]) for name in made]
    return bill(image, [*made.values(), *extra, *tools], needs)


def _on_box(one: Info) -> bool:
    return one.install_target or one.install_images


def _needed(packages: Mapping[str, Info], name: str) -> list[str]:
    """The packages that one depends on; for a virtual one, those behind it."""
    found: dict[str, None] = {}
    for other in packages[name].dependencies:
        one = packages.get(other)
        if one and one.counts:
            found[other] = None
        elif one and one.virtual:
            found.update(dict.fromkeys(_needed(packages, other)))
    return [other for other in found if other != name]


def _package(name: str, one: Info, checkout: Checkout) -> Component:
    version = _version(one) or checkout.release.name
    patches = [_patch(Path(file), checkout) for file in one.patches]
    return Component(
        name=name, version=version, type=ComponentType.LIBRARY, bom_ref=name, scope=ComponentScope.REQUIRED,
        licenses=licences(one.licenses, checkout.folder / one.package_dir), purl=_purl(name, version, one),
        cpe=one.cpe if one.version == version else None, external_references=list(_sources(one, checkout)),
        pedigree=Pedigree(patches=patches) if patches else None,
        properties=property_list({"cygnet:linked-only": str(not _on_box(one)).lower()}),
    )  # fmt: skip


def _version(one: Info) -> str:
    if one.version != CUSTOM:
        return one.version
    found = NUMBER.search(one.downloads[0].source) if one.downloads else None
    return found["version"] if found else CUSTOM


def _purl(name: str, version: str, one: Info) -> PackageURL:
    address = one.downloads[0].address if one.downloads else ""
    return PackageURL("generic", None, name, version, {"download_url": address} if address else None)


def _sources(one: Info, checkout: Checkout) -> Iterator[ExternalReference]:
    known = hashes(one, checkout)
    for download in one.downloads:
        if download.address:
            sha256 = known.get(download.source)
            yield ExternalReference(
                type=ExternalReferenceType.SOURCE_DISTRIBUTION, url=XsUri(download.address), comment=download.source,
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 else [],
            )  # fmt: skip


def hashes(one: Info, checkout: Checkout) -> dict[str, str]:
    """The SHA-256 that Buildroot wants of a package's files."""
    files = [checkout.folder / name for name in one.hashes]
    found = (HASH.fullmatch(line.strip()) for file in files if file.is_file() for line in file.read_text().splitlines())
    return {line["name"]: line["sha256"] for line in found if line}


def _patch(file: Path, checkout: Checkout) -> Patch:
    """A patch of Buildroot's or of the external tree's: its place there, the hash behind it."""
    place = checkout.folder / file
    digest = f"#sha256={hash_file(place)}" if place.is_file() else ""
    return Patch(type=PatchClassification.UNOFFICIAL, diff=Diff(url=XsUri(f"{_shown(file)}{digest}")))


def _shown(file: Path) -> str:
    """Without the folder that an external tree stands in on this machine."""
    parts = file.parts
    return "/".join(parts[parts.index("package") :]) if file.is_absolute() and "package" in parts else str(file)


def licences(text: str, place: Path) -> list[DisjunctiveLicense] | list[LicenseExpression]:
    """As one SPDX expression; where SPDX does not know them all, each by itself, as SPDX or Buildroot calls it."""
    names = [name for piece in REMARK.sub("", text).split(",") if (name := piece.strip())]
    if not names or names == [UNKNOWN]:
        return []
    known = [_expression(name, place) for name in names]
    if all(known):
        pieces = [f"({one})" if " OR " in one and len(known) > 1 else one for one in known]
        return [LicenseExpression(" AND ".join(pieces))]
    return [
        DisjunctiveLicense(id=one) if one and " " not in one else DisjunctiveLicense(name=name)
        for name, one in zip(names, known, strict=True)
    ]


def _expression(name: str, place: Path) -> str:
    """In SPDX's spelling; nothing for what SPDX does not know."""
    try:
        return checked(re.sub(r" (or|and|with) ", lambda word: word[0].upper(), name), place)
    except RecipeError:
        return ""


def _compiler(name: str, one: Info) -> Component:
    return Component(
        name=name, version=one.version, type=ComponentType.APPLICATION, bom_ref=f"tool:{name}",
        purl=_purl(name, one.version, one), scope=ComponentScope.EXCLUDED,
        properties=property_list({"cygnet:role": "compiler"}),
    )  # fmt: skip
