"""Buildroot as the second engine: the same boards, overlay and packages, built by a Buildroot that the user has."""
