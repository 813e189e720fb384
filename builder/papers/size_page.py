"""``size.html``: one page without anything from elsewhere: budget bars, a treemap, the largest files.

Areas are compressed bytes.  Colours come from style sheet variables, for light and dark.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup

from builder.papers.treemap import Box, squarify

if TYPE_CHECKING:
    from builder.papers.sizes import Share, Sizes

WIDTH, HEIGHT = 1200, 640
HEAD = 20
LETTER = 7.0
TOP_FILES = 12
HUES = (210, 28, 145, 340, 265, 185, 50, 95, 10, 300)
PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ sizes.board }}: where the bytes went</title>
<style>
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --quiet: #5b6470; --line: #d5dae0; --tint: 82%;
  --over: #c62828; --good: #2e7d32; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ebef; --paper: #15181c; --quiet: #9aa4b1; --line: #333a43; --tint: 26%;
    --over: #ef6f6f; --good: #66bb6a; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1240px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
p.note { color: var(--quiet); }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar { background: var(--line); height: .8rem; border-radius: .4rem; overflow: hidden; min-width: 12rem; }
.bar i { display: block; height: 100%; background: var(--good); } .bar i.over { background: var(--over); }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--ink); } svg text.head { font-weight: 600; }
svg rect { stroke: var(--paper); stroke-width: 1; fill: hsl(var(--hue) 55% var(--tint)); }
svg rect.file { fill-opacity: .55; fill: hsl(var(--hue) 65% calc(var(--tint) - 6%)); }
code { font-size: .85em; } summary { cursor: pointer; }
</style>
<h1>{{ sizes.board }}: where the bytes went</h1>
<table>
{% for name, used, budget in sizes.budgets %}<tr><td>{{ name }}</td>
<td><div class="bar"><i{% if used > budget %} class="over"{% endif %}
style="width:{{ [100 * used / budget, 100] | min | round(1) }}%"></i></div></td>
<td class="n">{{ "{:,}".format(used) }} of {{ "{:,}".format(budget) }} bytes</td>
<td class="n">{{ "{:,} left".format(budget - used) if used <= budget else "{:,} over".format(used - budget) }}</td></tr>
{% endfor %}</table>
<h2>The root file system, compressed</h2>
<p class="note">Areas are what each package takes of the compressed image, by compressing it alone.
Hover for figures.</p>
{{ picture }}
<h2>By package</h2>
<table><tr><th>package<th class="n">on the box<th class="n">compressed, about<th class="n">share<th>largest files</tr>
{% for share in sizes.shares %}<tr><td>{{ share.name }}</td><td class="n">{{ "{:,}".format(share.plain) }}</td>
<td class="n">{{ "{:,}".format(share.packed) }}</td>
<td class="n">{{ "{:.1%}".format(share.packed / ([sizes.rootfs, 1] | max)) }}</td><td>
<details><summary>{{ share.files | length }} files</summary>{% for path, size in share.top(top) %}
<code>/{{ path }}</code> {{ "{:,}".format(size) }}<br>{% endfor %}</details></td></tr>
{% endfor %}</table>
</html>
"""


def page(sizes: Sizes) -> str:
    """The whole page."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True)
    picture = Markup(treemap(sizes))  # noqa: S704 - made and escaped below
    return environment.from_string(PAGE).render(sizes=sizes, picture=picture, top=TOP_FILES)


def treemap(sizes: Sizes) -> str:
    """The picture as an SVG element."""
    shares = [share for share in sizes.shares if share.packed]
    boxes = squarify([share.packed for share in shares], Box(0, 0, WIDTH, HEIGHT))
    drawn = [_package(share, box, hue) for share, box, hue in zip(shares, boxes, itertools.cycle(HUES), strict=False)]
    title = escape(f"treemap of {sizes.board}")
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">{"".join(drawn)}</svg>'


def _package(share: Share, box: Box, hue: int) -> str:
    tip = f"{share.name}: {share.packed:,} bytes compressed, {share.plain:,} on the box"
    label = _label(f"{share.name} {share.packed:,}", box, "head") or _label(share.name, box, "head")
    head = HEAD if label else 2
    return (
        f'<g style="--hue:{hue}">{_rectangle(box, tip)}{label}'
        f"{''.join(_files(share, box.inner(head, 2)))}</g>"
    )  # fmt: skip


def _files(share: Share, box: Box) -> Iterator[str]:
    """The package's files inside its box, by their bytes on the box."""
    if box.width < 4 or box.height < 4:
        return
    files = [(path, size) for path, size in share.top(len(share.files)) if size]
    for (path, size), place in zip(files, squarify([size for _, size in files], box), strict=True):
        if place.width >= 2 and place.height >= 2:
            name = path.rsplit("/", 1)[-1]
            yield _rectangle(place, f"/{path}: {size:,} bytes", "file") + _label(name, place, "")


def _rectangle(box: Box, tip: str, kind: str = "package") -> str:
    x, y, width, height = (f"{value:.1f}" for value in box)
    return (
        f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}"><title>{escape(tip)}</title></rect>'
    )  # fmt: skip


def _label(text: str, box: Box, kind: str) -> str:
    """The text at the top of the box, or nothing where it does not fit."""
    if box.height < 16 or box.width < len(text) * LETTER + 8:
        return ""
    return f'<text class="{kind}" x="{box.x + 4:.1f}" y="{box.y + 14:.1f}" pointer-events="none">{escape(text)}</text>'
