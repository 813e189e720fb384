"""Buildroot as the second engine: the same boards, packages and overlay as a BR2_EXTERNAL tree, built by a Buildroot.

``export`` writes the tree; ``tree`` names what is in it and puts it in place; ``defconfig``, ``board_files``,
``package_files`` and ``prebuilt`` make its parts.  What is described stands in board/, packages/ and overlay/; here are
only words.toml, which translates, and templates.

``build`` has the user's Buildroot (``checkout``, ``release``) build it: ``drive`` runs make, ``configuration`` and
``output`` say what can be gone on with, ``progress`` listens, ``publish`` and ``sbom`` make of the result what the
other engine leaves in images/.
"""
