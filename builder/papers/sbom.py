"""``sbom.json``: what an image is made of, as CycloneDX 1.6, the same bytes for the same image.

One component a package, with its source files (name, address, SHA-256), our patches, licence
and package URL; below it what its build says it linked in (a result may hold ``bom/*.json``, lists of
{"name", "version", "licence", "purl"}); then what the tools leave in the image, and
the compilers themselves, which are not in it (scope "excluded").
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import re
import tarfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
from cyclonedx.exception import CycloneDxException, MissingOptionalDependencyException
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import (
    Component,
    ComponentScope,
    ComponentType,
    Diff,
    Patch,
    PatchClassification,
    Pedigree,
)
from cyclonedx.model.license import LicenseExpression
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from builder.boards import Board
from builder.errors import CygnetError
from builder.papers.licences import checked, licence
from builder.papers.parts import Carried, Part, address, carried, images, linked_only, parts, result, write
from builder.plan import SOURCES_LOCK, Plan, Project
from builder.recipes.load import Recipe
from builder.settings import EPOCH, VERSION
from builder.sources.lock import File, read_lock
from builder.steps.step import hash_bytes
from builder.steps.store import hash_file
from builder.tools.tree import packages_of, read_groups

SPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "sbom.cygnet.invalid")
# Tools that turn source into the image's machine code, beside zig.
COMPILERS = re.compile(r"gcc-\d+-x86-64-linux-gnu|binutils-x86-64-linux-gnu|rustc")


class Linked(msgspec.Struct, frozen=True):
    """One row of a result's ``bom/*.json``: something that the package's build linked in."""

    name: str
    version: str
    licence: str
    purl: str


def run(project: Project, board: str) -> Path:
    """Write the SBOM of a built board; where it is."""
    plan = project.plan(board)
    result(project, plan, plan.image)
    return write_sbom(project, plan)


def write_sbom(project: Project, plan: Plan) -> Path:
    """Write ``images/<board>/sbom.json`` from the store."""
    text = dump(make(project, plan))
    validate(text)
    return write(images(project, plan) / "sbom.json", text)


def make(project: Project, plan: Plan) -> Bom:
    """The whole bill of materials, its serial number derived from its content."""
    packages = parts(plan)
    made = {part.name: _package(project, plan, part) for part in packages}
    extra = [carried_component(one) for one in carried(plan)]
    image = image_component(plan.board, {"cygnet:key": plan.image.key})
    own = [made[part.name] for part in packages if not linked_only(project, plan, part)]
    needs: list[tuple[Component, list[Component]]] = [(image, [*own, *extra])]
    for part in packages:
        needed = [made[name] for name in part.recipe.package.depends]
        needs.append((made[part.name], [*needed, *made[part.name].components]))
    return bill(image, [*made.values(), *extra, *_compilers(plan)], needs)


def bill(
    image: Component, components: Iterable[Component], needs: Iterable[tuple[Component, Iterable[Component]]]
) -> Bom:
    """The bill of ``image``: what it is made of, and what of that needs what; its serial number is of its content."""
    bom = Bom(
        serial_number=uuid.UUID(int=0),
        metadata=BomMetaData(
            timestamp=datetime.datetime.fromtimestamp(EPOCH, datetime.UTC),
            component=image,
            tools=ToolRepository(components=[Component(name="cygnet", version=VERSION, bom_ref="tool:cygnet-builder")]),
        ),
        components=list(components),
    )
    for component, needed in needs:
        bom.register_dependency(component, list(needed))
    bom.serial_number = uuid.uuid5(SPACE, hash_bytes(dump(bom).encode()))
    return bom


def dump(bom: Bom) -> str:
    """The bill as JSON text, keys and lists in a fixed order."""
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def validate(text: str) -> None:
    """Check against the schema where the library can (its extra is installed), else by reading the text back."""
    problem: object
    try:
        problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    except MissingOptionalDependencyException:
        problem = _read_back(text)
    if problem is not None:
        raise CygnetError(f"the SBOM is not valid CycloneDX 1.6, a mistake in {Path(__file__).name}: {problem}")


def _read_back(text: str) -> object:
    """What is wrong with the text as the library sees it; None for nothing."""
    try:
        again: Bom = Bom.from_json(json.loads(text))  # type: ignore[attr-defined]
        return None if again.validate() else "dependencies that name no component"
    except (CycloneDxException, AttributeError, TypeError, ValueError) as error:
        return repr(error)


def image_component(board: Board, properties: Mapping[str, str]) -> Component:
    """What the bill is of."""
    return Component(
        name=f"cygnet-{board.name}", version=VERSION, type=ComponentType.FIRMWARE, bom_ref="image",
        description=board.description, purl=PackageURL("generic", "cygnet", board.name, VERSION),
        properties=property_list(properties),
    )  # fmt: skip


def _package(project: Project, plan: Plan, part: Part) -> Component:
    source = part.recipe.package.source
    properties = {
        "cygnet:key": part.step.key,
        "cygnet:linked-only": str(linked_only(project, plan, part)).lower(),
        "cygnet:replaced": str(part.replaced).lower(),
    }
    if part.replaced and source:
        lock = read_lock(project.settings.packages / SOURCES_LOCK)
        properties["cygnet:locked-version"] = lock[source.name].version
    return Component(
        name=part.name, version=part.version, type=ComponentType.LIBRARY, bom_ref=part.name,
        description=part.recipe.package.summary, scope=ComponentScope.REQUIRED,
        licenses=[LicenseExpression(licence(part.recipe))], purl=part.purl,
        external_references=[_source(file) for file in part.files],
        pedigree=_pedigree(part.recipe), components=_linked(part, result(project, plan, part.step)),
        properties=property_list(properties),
    )  # fmt: skip


def property_list(values: Mapping[str, str]) -> list[Property]:
    return [Property(name=name, value=value) for name, value in values.items()]


def _source(file: File) -> ExternalReference:
    return ExternalReference(
        type=ExternalReferenceType.SOURCE_DISTRIBUTION, url=XsUri(address(file)), comment=file.name,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)],
    )  # fmt: skip


def _pedigree(recipe: Recipe) -> Pedigree | None:
    """Our own patches: the place in this project, the hash behind it."""
    patches = [
        Patch(
            type=PatchClassification.UNOFFICIAL,
            diff=Diff(url=XsUri(f"packages/{recipe.name}/patches/{patch.name}#sha256={hash_file(patch)}")),
        )
        for patch in recipe.patches
    ]
    return Pedigree(patches=patches) if patches else None


def _linked(part: Part, tarball: Path) -> list[Component]:
    return [
        Component(
            name=row.name, version=row.version, bom_ref=f"{part.name}/{row.name}@{row.version}",
            licenses=[LicenseExpression(checked(row.licence.replace("/", " OR "), part.recipe.folder / "recipe.py"))],
            purl=_purl(row.purl, part),
        )
        for row in dict.fromkeys(linked_rows(part, tarball))
    ]  # fmt: skip


def linked_rows(part: Part, tarball: Path) -> Iterator[Linked]:
    """What a package's result says was linked in."""
    with tarfile.open(tarball) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.name.startswith("./bom/") and member.isfile() else None
            if content is None:
                continue
            try:
                yield from msgspec.json.decode(content.read(), type=list[Linked])
            except (msgspec.DecodeError, msgspec.ValidationError) as error:
                place = f"{part.recipe.folder}/recipe.py: {member.name[2:]}"
                raise CygnetError(f"{place} is not a list of name, version, licence, purl: {error}") from None


def _purl(text: str, part: Part) -> PackageURL:
    try:
        return PackageURL.from_string(text)
    except ValueError as error:
        raise CygnetError(f"{part.recipe.folder}/recipe.py: bom: {error}") from None


def carried_component(one: Carried) -> Component:
    """Something that the image has from a tool."""
    return Component(
        name=one.name, version=one.version, bom_ref=one.name, description=one.summary, scope=ComponentScope.REQUIRED,
        licenses=[LicenseExpression(one.licence)], purl=one.purl,
    )  # fmt: skip


def _compilers(plan: Plan) -> list[Component]:
    zig = importlib.metadata.version("ziglang")
    found = [_compiler("zig", zig, PackageURL("pypi", None, "ziglang", zig), "", False)]
    groups = tuple(group for part in parts(plan) for group in part.recipe.package.tools)
    for name in filter(COMPILERS.fullmatch, packages_of(read_groups(), groups)):
        locked = plan.tool_archive.locked(name)
        purl = PackageURL("deb", "debian", name, locked.version, {"arch": "amd64", "distro": locked.suite})
        found.append(_compiler(name, locked.version, purl, locked.files[0].sha256, plan.tool_archive.replaced(name)))
    return found


def _compiler(name: str, version: str, purl: PackageURL, sha256: str, replaced: bool) -> Component:
    properties = {"cygnet:role": "compiler", "cygnet:replaced": str(replaced).lower()}
    return Component(
        name=name, version=version, type=ComponentType.APPLICATION, bom_ref=f"tool:{name}", purl=purl,
        scope=ComponentScope.EXCLUDED, hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 else [],
        properties=property_list(properties),
    )  # fmt: skip
