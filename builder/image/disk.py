"""placeholder while the boot loader is measured"""
from __future__ import annotations
from builder.steps.step import Step
def image_step(board, packages, rootfs, archive, tools):
    return Step(name=f"image:{board.name}", inputs={}, action=lambda s: None, needs=(rootfs,))
