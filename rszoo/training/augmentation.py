"""Augmentation of clean training images on the device where they live."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Augmentation = Callable[[Tensor, torch.Generator], Tensor]
PADDING = 4


def _none(images: Tensor, generator: torch.Generator) -> Tensor:
    return images


def _flip(images: Tensor, generator: torch.Generator) -> Tensor:
    return _take(images, generator, padding=0)


def _crop_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    return _take(images, generator, padding=PADDING)


def _take(images: Tensor, generator: torch.Generator, *, padding: int) -> Tensor:
    """A random window of the zero-padded image and a flip for each image, in one gather."""
    count, channels, height, width = images.shape
    device = images.device

    def draw(high: int) -> Tensor:
        return torch.randint(high, (count, 1), generator=generator, device=device)

    rows = draw(2 * padding + 1) + torch.arange(height, device=device)
    columns = draw(2 * padding + 1) + torch.arange(width, device=device)
    columns = torch.where(draw(2).bool(), columns.flip(1), columns)
    padded = F.pad(images, (padding,) * 4)
    image = torch.arange(count, device=device).view(-1, 1, 1, 1)
    channel = torch.arange(channels, device=device).view(1, -1, 1, 1)
    return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


AUGMENTATIONS: dict[str, Augmentation] = {"none": _none, "flip": _flip, "crop-flip": _crop_flip}
"""uint8 images (B, C, H, W) and a generator to uint8 images of the same shape; crops are from 4 pixels of zero padding."""
