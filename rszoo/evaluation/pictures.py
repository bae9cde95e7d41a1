"""Adversarial images as files: the image, the perturbation, and their sum, side by side."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

SIDE = 224  # pixels that a small image is enlarged to, about


def save_pictures(
    folder: Path, idx: int, images: Sequence[Tensor], *, eps: Sequence[float]
) -> None:
    """One PNG for each distance but 0, named by number and distance: idx-00007-eps-0.25.png.

    Args:
        folder: where to.
        idx: number of the image.
        images: (C, H, W) in pixel units, one a distance; the first is the image itself.
        eps: their distances, the first of them 0.
    """
    x = images[0].cpu()
    for found, distance in zip(images[1:], eps[1:], strict=True):
        _side_by_side(x, found.cpu()).save(folder / f"idx-{idx:05}-eps-{distance:g}.png")


def _side_by_side(x: Tensor, found: Tensor) -> Image.Image:
    """Image, perturbation (0 is mid-grey, its largest value black or white), adversarial image."""
    delta = found - x
    scaled = 0.5 + 0.5 * delta / delta.abs().max().clamp_min(torch.finfo(delta.dtype).tiny)
    row = (
        torch.cat([x, scaled, found], dim=2)
        .clamp(0, 1)
        .mul(255)
        .round()
        .byte()
        .permute(1, 2, 0)
        .numpy()
    )
    picture = Image.fromarray(np.squeeze(row, 2) if row.shape[2] == 1 else row)
    times = max(1, SIDE // picture.height)
    return picture.resize((times * picture.width, times * picture.height), Image.Resampling.NEAREST)
