"""Turns the templates into plain Python for the box, where Jinja2 would cost 150 kB of flash and seconds of each start.

    python compile_templates.py FOLDER MODULE

Jinja2 parses them; what it finds is written as Python functions that do the same, strictly: a name or attribute that
is not there is an error by itself. Only what our templates use is known; anything else ends the build.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, nodes

HEAD = '"""What the templates of this package became; compile_templates.py made it."""\n'
FILTERS = {"join": "{1}.join(map(str, {0}))"}


def module(folder: Path, options: dict[str, Any]) -> str:
    """The text of a Python module: TEMPLATES has a function for each template, by its name."""
    environment = Environment(**options)  # noqa: S701 - nothing is rendered here
    parts, names = [HEAD], []
    for number, file in enumerate(sorted(folder.glob("*.j2"))):
        tree = environment.parse(file.read_text(), file.name, str(file))
        body = [f"    {line}" for node in tree.body for line in _statement(node)]
        parts.append("\n".join([f"def _{number}(**values):", "    out = []", *body, '    return "".join(out)\n']))
        names.append(f"    {file.name.removesuffix('.j2')!r}: _{number},")
    return "\n\n".join([*parts, "\n".join(["TEMPLATES = {", *names, "}\n"])])


def _statement(node: nodes.Node, inner: frozenset[str] = frozenset()) -> Iterator[str]:
    """Lines of Python; ``inner`` are the names that loops define."""
    match node:
        case nodes.Output():
            for part in node.nodes:
                yield f"out.append({_text(part, inner)})"
        case nodes.If():
            yield f"if {_expression(node.test, inner)}:"
            yield from _block(node.body, inner)
            for other in node.elif_:
                yield f"elif {_expression(other.test, inner)}:"
                yield from _block(other.body, inner)
            if node.else_:
                yield "else:"
                yield from _block(node.else_, inner)
        case nodes.For(target=nodes.Name() | nodes.Tuple() as target, test=None, recursive=False):
            names = [one.name for one in ([target] if isinstance(target, nodes.Name) else target.find_all(nodes.Name))]
            items = _expression(node.iter, inner)
            yield f"for {', '.join(names)} in {items}:"
            yield from _block(node.body, inner | set(names))
            if node.else_:
                yield f"if not {items}:"
                yield from _block(node.else_, inner)
        case _:
            raise _unknown(node)


def _block(body: Iterable[nodes.Node], inner: frozenset[str]) -> Iterator[str]:
    yield "    pass"
    for node in body:
        yield from (f"    {line}" for line in _statement(node, inner))


def _text(node: nodes.Node, inner: frozenset[str]) -> str:
    if isinstance(node, nodes.TemplateData):
        return repr(node.data)
    return f"str({_expression(node, inner)})"


def _expression(node: nodes.Node, inner: frozenset[str]) -> str:
    def part(of: nodes.Node) -> str:
        return _expression(of, inner)

    match node:
        case nodes.Const():
            return repr(node.value)
        case nodes.Name():
            return node.name if node.name in inner else f"values[{node.name!r}]"
        case nodes.Getattr():
            return f"{part(node.node)}.{node.attr}"
        case nodes.CondExpr(expr2=nodes.Expr() as other):
            return f"({part(node.expr1)} if {part(node.test)} else {part(other)})"
        case nodes.And() | nodes.Or():
            return f"({part(node.left)} {node.operator} {part(node.right)})"
        case nodes.Not():
            return f"(not {part(node.node)})"
        case nodes.Concat():
            return f"({' + '.join(f'str({part(one)})' for one in node.nodes)})"
        case nodes.Filter(node=nodes.Expr() as value) if node.name in FILTERS:
            return FILTERS[node.name].format(part(value), *map(part, node.args))
    raise _unknown(node)


def _unknown(node: nodes.Node) -> SystemExit:
    return SystemExit(f"line {node.lineno}: compile_templates.py knows no {type(node).__name__}: write it otherwise")


if __name__ == "__main__":
    from cygnet_site.fill import OPTIONS

    Path(sys.argv[2]).write_text(module(Path(sys.argv[1]), OPTIONS))
