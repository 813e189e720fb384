"""Turns signed sources, a board and an overlay into a disk image.

Data flows one way: ``sources`` -> ``recipes`` (packages) -> ``image`` (root file
system, disk).  ``steps`` orders that work and remembers it; ``boards`` and
``recipes`` read the folders ``board/`` and ``packages/``; ``tools`` and
``compiler`` provide what compiles; ``papers`` writes what goes with an image;
``checks`` looks at what came out; ``flash`` puts it on hardware; ``buildroot``
writes the same for another engine.  Nothing in here knows about IKE.
"""
