"""Cygnet's fixtures: box, two_boxes, wire."""

pytest_plugins = ["builder.smoke.plugin"]
