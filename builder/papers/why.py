"""``why``: for what reason would this be built again?

Compares what goes into a step now with the record of when it was last made.  Where a step
that it needs has another key, that step is looked into as well, with the key that was used then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from builder.names import unknown
from builder.plan import Plan, Project
from builder.settings import Settings
from builder.steps.step import Step
from builder.steps.store import Record, Store

INDENT = "    "
# What an input of a step stands for, by its name; the rest of the name where it ends in a space.
MEANINGS: dict[str, Callable[[str, Plan], str]] = {
    "recipe": lambda owner, _: f"recipe: something in packages/{owner}/ changed",
    "code": lambda *_: "the builder's own code for this kind of step changed",
    "cpu": lambda _, plan: f"board/{plan.board.name}/board.toml, [cpu] changed",
    "board": lambda _, plan: f"board/{plan.board.name}/board.toml changed",
    "board overlay": lambda _, plan: f"something in board/{plan.board.name}/overlay/ changed",
    "board kernel.config": lambda _, plan: f"board/{plan.board.name}/kernel.config changed",
    "boot": lambda _, plan: f"the boot loader's files in board/{plan.board.name}/ changed",
    "overlay": lambda *_: "something in overlay/ changed",
    "tools": lambda *_: "a tool that it runs has another version (builder/tools/tools.lock)",
}


def run(project: Project, board: str, package: str) -> list[str]:
    """The answer, line by line. ``package`` may also be ``rootfs``, ``image`` or ``tools``."""
    plan = project.plan(board)
    steps = {**plan.packages, "rootfs": plan.rootfs, "image": plan.image, "tools": plan.tools}
    if package not in steps:
        raise unknown("package", package, steps)
    step = steps[package]
    store = Store(project.settings.store, project.settings.trees)
    if store.has(step):
        return [f"{step.name}: nothing changed: it is in the store"]
    last = store.latest(step.name)
    if last is None:
        return [f"{step.name}: never built here"]
    if last.key == step.key:
        return [f"{step.name}: nothing changed, but its result is no longer in the store, or is damaged"]
    return [f"{step.name} would be built again:", *_indented(_differences(step, last, plan, project.settings, set()))]


def record_of(settings: Settings, key: str) -> Record | None:
    """The record of a result by its key."""
    try:
        return msgspec.json.decode((settings.store / f"{key}.json").read_bytes(), type=Record)
    except (FileNotFoundError, msgspec.DecodeError, msgspec.ValidationError):
        return None


def _differences(step: Step, then: Record, plan: Plan, settings: Settings, seen: set[str]) -> Iterator[str]:
    """What is in ``step`` now and was otherwise ``then``. A step that was looked into once is only named."""
    now = step.all_inputs
    for name in sorted(now.keys() | then.inputs.keys(), key=_reading_order):
        before, after = then.inputs.get(name), now.get(name)
        if before == after:
            continue
        if not name.startswith("step "):
            yield _meaning(name, before, after, step, plan)
            continue
        yield from _needed(name.removeprefix("step "), before, step, plan, settings, seen)


def _needed(name: str, before: str | None, step: Step, plan: Plan, settings: Settings, seen: set[str]) -> Iterator[str]:
    """Why a step that ``step`` needs has another key than the one ``before``."""
    need = next((need for need in step.needs if need.name == name), None)
    if need is None:
        yield f"step {name} is no longer needed"
    elif before is None:
        yield f"step {name} is needed now"
    elif name in seen:
        yield f"step {name} has another key, as said above"
    else:
        seen.add(name)
        then = record_of(settings, before)
        if then is None:
            yield f"step {name} has another key; the record of the one used then is gone"
            return
        yield f"step {name} has another key because:"
        yield from _indented(_differences(need, then, plan, settings, seen))


def _meaning(name: str, before: str | None, after: str | None, step: Step, plan: Plan) -> str:
    """One changed input in words."""
    if name.startswith(("source ", "patch ")):
        return f"{name} {_verb(before, after)}"
    if name in ("compiler", "version"):
        return f"{name}: {before or 'none'} -> {after or 'none'}"
    if step.name == plan.tools.name and name != "code":
        return f"tool {name} {_verb(before, after)} (builder/tools/tools.lock)"
    if name in MEANINGS and before is not None and after is not None:
        return MEANINGS[name](step.name.split(":")[0], plan)
    return f"{name} {_verb(before, after)}"


def _verb(before: str | None, after: str | None) -> str:
    return "is new" if before is None else "is gone" if after is None else "changed"


def _reading_order(name: str) -> tuple[int, str]:
    """What a user changes first, steps last."""
    order = ("recipe", "patch", "source", "board", "overlay", "cpu")
    word = name.split(" ")[0]
    return (len(order) + (word == "step") if word not in order else order.index(word), name)


def _indented(lines: Iterator[str]) -> Iterator[str]:
    return (INDENT + line for line in lines)
