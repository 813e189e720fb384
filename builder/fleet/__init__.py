"""Many boxes from a table: a row is a box, a template is what they have in common.

::

    table (sites.csv -> rows) -> site (a template and a row -> site.toml, read by those who read it)
    operator, sealed -> keys (made once, kept sealed) -> spread (on this machine's cores, or on a cluster)
    tunnels (the same conn for hub and spoke) -> fleet (what changed is written, each box whole or not at all)
    plain (secrets laid open, to put them on a box), published (public halves, for others)
"""
