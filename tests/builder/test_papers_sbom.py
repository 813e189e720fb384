"""What the SBOM says of a made-up image, and that it says the same twice."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from papers_project import BOARD, CRATES, Toy, built, toy

from builder.errors import CygnetError
from builder.papers import sbom
from builder.papers.parts import parts
from builder.recipes.package import PypiSource
from builder.sources.lock import Locked
from builder.steps.step import hash_bytes

__all__ = ["built", "toy"]  # fixtures


def components(toy: Toy) -> dict[str, Any]:
    bill = json.loads(sbom.run(toy.project, BOARD).read_text())
    assert bill["specVersion"] == "1.6"
    return {one["bom-ref"]: one for one in bill["components"]}


def test_a_package_is_described_by_source_licence_and_patch(built: Toy) -> None:
    alpha = components(built)["alpha"]

    assert alpha["version"] == "1:1.0-2"
    assert alpha["purl"] == "pkg:deb/debian/alpha@1:1.0-2?arch=source&distro=trixie"
    assert alpha["licenses"] == [{"expression": "MIT"}]
    files = {one["comment"]: one["hashes"][0]["content"] for one in alpha["externalReferences"]}
    assert files == {file.name: file.sha256 for file in built.project.sources.locked("alpha").files}
    patch = built.recipe("alpha").parent / "patches/0001-change.patch"
    url = alpha["pedigree"]["patches"][0]["diff"]["url"]
    assert url == f"packages/alpha/patches/0001-change.patch#sha256={hash_bytes(patch.read_bytes())}"


def test_what_a_build_linked_in_stands_below_its_package(built: Toy) -> None:
    crate = components(built)["alpha"]["components"][0]

    assert (crate["name"], crate["version"], crate["purl"]) == ("pem", "3.0", CRATES[0]["purl"])
    assert crate["licenses"] == [{"expression": "MIT OR Apache-2.0"}]


def test_loader_run_time_and_compilers_are_named(built: Toy) -> None:
    found = components(built)

    assert found["grub2"]["licenses"] == [{"expression": "GPL-3.0-or-later"}]
    assert found["zig-run-time"]["scope"] == "required"
    assert found["tool:zig"]["scope"] == "excluded"
    assert "tool:rustc" not in found  # no toy package asks for Rust


def test_dependencies_follow_the_recipes(built: Toy) -> None:
    bill = json.loads(sbom.run(built.project, BOARD).read_text())

    graph = {one["ref"]: one.get("dependsOn", []) for one in bill["dependencies"]}
    assert graph["alpha"] == ["alpha/pem@3.0", "beta"]
    assert graph["image"] == ["alpha", "grub2", "zig-run-time"]  # beta is only linked


def test_a_package_that_the_board_leaves_out_counts_where_another_links_it(built: Toy) -> None:
    file = built.project.settings.boards / BOARD / "board.toml"
    file.write_text('without = ["beta"]\n' + file.read_text())
    again = built.again()
    again.build()
    properties = {p["name"]: p["value"] for p in components(again)["beta"]["properties"]}
    assert properties["cygnet:linked-only"] == "true"

    file.write_text(file.read_text().replace('["beta"]', '["alpha", "beta"]'))
    again = built.again()
    again.build()
    assert not {"alpha", "beta"} & set(components(again))


def test_the_same_image_gives_the_same_bytes(built: Toy) -> None:
    first = sbom.run(built.project, BOARD).read_bytes()
    assert sbom.run(built.again().project, BOARD).read_bytes() == first


def test_another_image_has_another_serial_number(built: Toy) -> None:
    first = json.loads(sbom.run(built.project, BOARD).read_text())
    recipe = built.recipe("beta")
    recipe.write_text(recipe.read_text().replace("Zlib", "0BSD"))
    other = built.again()
    other.build()
    assert json.loads(sbom.run(other.project, BOARD).read_text())["serialNumber"] != first["serialNumber"]


def test_a_replaced_source_is_said(built: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(built.project.sources, "replaced", lambda name: name == "beta")
    monkeypatch.setattr(built.project.tool_sources, "replaced", lambda name: name.startswith("gcc"))
    found = components(built)

    gcc = next(one for ref, one in found.items() if ref.startswith("tool:gcc"))
    assert {"name": "cygnet:replaced", "value": "true"} in gcc["properties"]
    said = {name: {p["name"]: p["value"] for p in found[name]["properties"]} for name in ("alpha", "beta")}
    assert (said["alpha"]["cygnet:replaced"], said["beta"]["cygnet:replaced"]) == ("false", "true")
    assert said["beta"]["cygnet:locked-version"] == "1:1.0-2"


def test_a_source_of_the_python_index_has_its_own_purl(built: Toy) -> None:
    alpha = parts(built.plan)[0]
    package = dataclasses.replace(alpha.recipe.package, source=PypiSource("cffi", "1.17.1"))
    recipe = dataclasses.replace(alpha.recipe, package=package)
    locked = Locked("1.17.1", "pypi", ())
    assert str(dataclasses.replace(alpha, recipe=recipe, locked=locked).purl) == "pkg:pypi/cffi@1.17.1"


def test_an_unbuilt_image_names_the_command(toy: Toy) -> None:
    with pytest.raises(CygnetError, match=r"\./inv build --board=toy"):
        sbom.run(toy.project, BOARD)
    assert not (toy.images / "sbom.json").exists()


def test_a_bom_that_is_no_list_of_crates_names_the_recipe(built: Toy) -> None:
    built.put(built.plan.packages["alpha"], {"bom/crates.json": b'[{"name": "pem"}]'})
    with pytest.raises(CygnetError, match=r"alpha/recipe\.py: bom/crates\.json"):
        sbom.run(built.again().project, BOARD)


def test_a_bill_that_is_not_cyclonedx_is_refused() -> None:
    with pytest.raises(CygnetError, match="CycloneDX"):
        sbom.validate('{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{}]}')
