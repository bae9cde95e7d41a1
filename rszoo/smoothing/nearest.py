"""The 8-bit images that grid noise certifies in the place of others, and how far these are."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from rszoo.data.images import ImageWarning, distance_up
from rszoo.smoothing.requests import Result


def eight_bit(images: Tensor, *, stacklevel: int) -> tuple[Tensor, list[float]]:
    """The nearest images on the 8-bit grid, and the l2 distance of each, rounded up.

    It warns if one is not on the grid.

    Args:
        images: (B, C, H, W), in pixel units [0, 1].
        stacklevel: of the warning, from the caller.
    """
    nearest = (images * 255).round() / 255
    moved = [distance_up(image, other) for image, other in zip(images, nearest, strict=True)]
    if any(moved):
        warnings.warn(
            f"Grid noise certifies 8-bit images: {sum(map(bool, moved))} of {len(moved)} were "
            f"rounded, by an l2 distance of up to {max(moved):.2g}; their answers are "
            "about the rounded images. noise='float' takes x as it is.",
            ImageWarning,
            stacklevel=stacklevel + 1,
        )
    return nearest, moved


def about(
    results: Sequence[Result], moved: Sequence[float], classes: Sequence[str]
) -> list[Result]:
    """The results with the names of their classes.

    Each has the distance of its image from the one that was asked about.
    """
    return [
        _about(result, distance, classes) for result, distance in zip(results, moved, strict=True)
    ]


def _about(result: Any, moved: float, classes: Sequence[str]) -> Any:
    if isinstance(result, list):
        return [_about(each, moved, classes) for each in result]
    named = result.named(classes)
    return replace(named, moved=moved) if moved else named
