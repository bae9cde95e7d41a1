"""Images as the classifiers take them: float32 (C, H, W) in [0, 1], before normalization."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional

from rszoo.data.conversion import ImageError, ImageWarning, convert, place

__all__ = ["ImageError", "ImageWarning", "check_images", "convert", "image_transform"]

# How far k/255 in float32, rounded once or twice, may be from k, in steps of 1/255. A pixel farther
# off belongs to another image than the one that the grid noise certifies.
GRID_ROUNDING = 3.1e-5
GRID_REACH = 7.0  # 255 x and its noise are added in 16 bits


def image_transform(shape: tuple[int, int, int], resize: int) -> Callable[[Image.Image], Tensor]:
    """A function from a PIL image to a tensor of this shape in [0, 1], float32.

    It reads the image as `convert` does, in the shape's number of channels, scales its shorter side
    to `resize` pixels and crops the centre. It can be pickled, for worker processes. It raises
    ValueError for anything but a PIL image, for an image that does not cover the crop, and as
    `convert`.
    """
    return partial(_transform, shape=shape, resize=resize)


def _transform(image: Image.Image, *, shape: tuple[int, int, int], resize: int) -> Tensor:
    if not isinstance(image, Image.Image):
        raise ValueError(
            f"Expected a PIL image, got {type(image).__name__}; "
            "pass Image.open(path), or Image.fromarray(array) of bytes."
        )
    upright = convert(image, "L" if shape[0] == 1 else "RGB")
    scaled = functional.resize(upright, [resize])
    height, width = shape[1:]
    if scaled.height < height or scaled.width < width:  # the crop would be padded with black
        raise ImageError(
            f"Expected an image that covers {height} x {width} pixels (height x width) when its "
            f"shorter side is scaled to {resize}, got {upright.height} x {upright.width}"
            f"{place(image)}; use resize={max(height, width)}, or crop the image to that shape."
        )
    cropped = functional.center_crop(scaled, [height, width])
    pixels = np.array(cropped).reshape(height, width, -1)  # from_numpy asks for no default device
    tensor: Tensor = functional.to_dtype(
        torch.from_numpy(pixels).permute(2, 0, 1), torch.float32, scale=True
    )
    return tensor


def check_images(
    x: Tensor, shape: tuple[int, ...], *, grid: bool = False, box: bool = True
) -> Tensor:
    """The images as a float32 batch (B, C, H, W).

    Raises:
        ValueError: x is not a tensor of this shape, or has pixels that are NaN, outside [0, 1] (if
            `box`) or off the 8-bit grid (if `grid`).
    """
    if not isinstance(x, Tensor):
        raise ValueError(
            f"Expected a torch tensor, got {type(x).__name__}; "
            "pass clf.transform(image) for a PIL image."
        )
    if x.ndim not in (3, 4) or tuple(x.shape[-3:]) != tuple(shape):
        raise ValueError(
            f"Expected an image of shape {tuple(shape)} or a batch of them, got {tuple(x.shape)}; "
            "clf.transform makes one from a PIL image."
        )
    if not x.is_floating_point():
        raise ValueError(f"Expected floating-point pixels in [0, 1], got {x.dtype}; divide by 255.")
    images = x.detach().float().reshape(-1, *shape)
    if len(images) == 0:
        raise ValueError("Expected at least one image, got an empty batch; pass one or more.")
    low, high = float(images.min()), float(images.max())
    least, most = (0.0, 1.0) if box else (-math.inf, math.inf)
    if not (low >= least and high <= most):  # NaN fails both
        raise ValueError(
            f"Expected pixels in [0, 1], got [{low:.4g}, {high:.4g}]; "
            "pass the image before normalization: the classifier normalizes after the noise."
        )
    if grid and max(-low, high) > GRID_REACH:
        raise ValueError(
            f"Expected pixels within {GRID_REACH:g} of 0 for grid noise, got [{low:.4g}, "
            f"{high:.4g}]; keep the image near [0, 1], or use noise='float'."
        )
    if grid and _distance_from_grid(images) > GRID_ROUNDING:
        raise ValueError(
            "Expected pixels that are multiples of 1/255, got others; "
            "round them, or use noise='float'."
        )
    return images


def distance_up(x: Tensor, nearest: Tensor) -> float:
    """l2 distance from x to its nearest 8-bit image, rounded up; 0.0 if x is that image."""
    if _distance_from_grid(x) <= GRID_ROUNDING:
        return 0.0
    delta = (x.double() - (nearest.double() * 255).round() / 255).norm()
    return float(delta) * (1 + 1e-12)


def _distance_from_grid(images: Tensor) -> float:
    """The largest distance of a pixel from its multiple of 1/255, in steps of 1/255."""
    return float((images.double() * 255).sub_((images * 255).round()).abs().max())
