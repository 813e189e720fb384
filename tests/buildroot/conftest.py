"""Fixtures of the tests of both halves: projects that trees are written from."""

from export_project import copy, nothing_is_built, project

__all__ = ["copy", "nothing_is_built", "project"]
