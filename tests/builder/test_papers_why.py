"""Whether `why` names the one thing that was changed in a made-up project."""

from __future__ import annotations

import pytest
from papers_project import BOARD, Toy, built, toy

from builder.errors import CygnetError
from builder.papers import why
from builder.sources.lock import read_lock, write_lock
from builder.steps.step import Step

__all__ = ["built", "toy"]  # fixtures


def answer(toy: Toy, package: str) -> list[str]:
    return [line.strip() for line in why.run(toy.again().project, BOARD, package)]


def test_nothing_changed(built: Toy) -> None:
    assert answer(built, "alpha") == ["alpha:i486: nothing changed: it is in the store"]


def test_never_built(toy: Toy) -> None:
    assert answer(toy, "alpha") == ["alpha:i486: never built here"]


def test_removed_from_the_store(built: Toy) -> None:
    step = built.plan.packages["alpha"]
    built.store.place(step).unlink()
    assert answer(built, "alpha") == [
        "alpha:i486: nothing changed, but its result is no longer in the store, or is damaged"
    ]


def test_a_changed_recipe(built: Toy) -> None:
    with built.recipe("beta").open("a") as recipe:
        recipe.write("# another\n")
    assert answer(built, "beta") == [
        "beta:i486 would be built again:",
        "recipe: something in packages/beta/ changed",
    ]


def test_a_changed_dependency_is_followed_to_its_cause(built: Toy) -> None:
    with built.recipe("beta").open("a") as recipe:
        recipe.write("# another\n")
    assert answer(built, "alpha") == [
        "alpha:i486 would be built again:",
        "step beta:i486 has another key because:",
        "recipe: something in packages/beta/ changed",
    ]
    rootfs = answer(built, "rootfs")
    assert rootfs.count("step beta:i486 has another key because:") == 1
    assert "step beta:i486 has another key, as said above" in rootfs


def test_the_cause_is_found_after_the_dependency_was_built_again(built: Toy) -> None:
    with built.recipe("beta").open("a") as recipe:
        recipe.write("# another\n")
    built.put(built.again().plan.packages["beta"], {"dev/usr/lib/libbeta.a": b"new"})
    assert "recipe: something in packages/beta/ changed" in answer(built, "alpha")


def test_another_source(built: Toy) -> None:
    file = built.project.settings.packages / "sources.lock"
    lock = read_lock(file)
    old = lock["beta"].files[0]
    changed = type(old)(old.path, "0" * 64, old.size)
    lock["beta"] = type(lock["beta"])("1:1.0-2", "trixie", (changed, *lock["beta"].files[1:]))
    write_lock(file, lock)
    assert answer(built, "beta")[1:] == [f"source {old.name} changed"]


def test_another_patch(built: Toy) -> None:
    folder = built.recipe("alpha").parent / "patches"
    (folder / "0002-more.patch").write_text("")
    (folder / "0001-change.patch").unlink()
    lines = answer(built, "alpha")
    assert {"patch 0001-change.patch is gone", "patch 0002-more.patch is new"} <= set(lines)


def test_the_overlay(built: Toy) -> None:
    (built.project.settings.overlay / "etc/hostname").write_text("another\n")
    assert answer(built, "rootfs")[1:] == ["something in overlay/ changed"]
    assert answer(built, "image")[1:] == [
        f"step rootfs:{BOARD} has another key because:",
        "something in overlay/ changed",
    ]


def test_the_boards_cpu(built: Toy) -> None:
    file = built.project.settings.boards / BOARD / "board.toml"
    text = file.read_text()
    assert 'zig-cpu = "i486"' in text
    file.write_text(text.replace('zig-cpu = "i486"', 'zig-cpu = "i586"'))
    assert answer(built, "beta")[1:] == [f"board/{BOARD}/board.toml, [cpu] changed"]


def test_another_package_in_the_image(built: Toy) -> None:
    file = built.project.settings.boards / BOARD / "board.toml"
    file.write_text('without = ["alpha"]\n' + file.read_text())
    assert answer(built, "rootfs")[1:] == ["step alpha:i486 is no longer needed"]


def test_a_record_that_is_gone(built: Toy) -> None:
    step: Step = built.plan.packages["beta"]
    (built.project.settings.store / f"{step.key}.json").unlink()
    with built.recipe("beta").open("a") as recipe:
        recipe.write("# another\n")
    assert "step beta:i486 has another key; the record of the one used then is gone" in answer(built, "alpha")


def test_an_unknown_package_gets_the_nearest_name(built: Toy) -> None:
    with pytest.raises(CygnetError, match="did you mean alpha"):
        answer(built, "alhpa")
