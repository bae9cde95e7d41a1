"""Images as the classifiers take them: float32 tensors (C, H, W) in pixel units [0, 1], before normalization."""

import math
from collections.abc import Callable
from functools import partial

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.v2 import functional

# of k/255 in float32, once or twice rounded, in steps of 1/255: more would be another image than the one that is certified
GRID_ROUNDING = 3.1e-5


def image_transform(shape: tuple[int, int, int], resize: int) -> Callable[[Image.Image], Tensor]:
    """A PIL image to a tensor of that shape in [0, 1]: upright, right number of channels, resized, centre crop.

    The transform can be pickled, for worker processes. It raises ValueError for what is no PIL image, and as `converted`.
    """
    return partial(_transformed, shape=shape, resize=resize)


def _transformed(image: Image.Image, *, shape: tuple[int, int, int], resize: int) -> Tensor:
    if not isinstance(image, Image.Image):
        raise ValueError(
            f"Expected a PIL image, got {type(image).__name__}; pass Image.open(path), or Image.fromarray(array) of bytes."
        )
    upright = converted(ImageOps.exif_transpose(image), "L" if shape[0] == 1 else "RGB")
    cropped = functional.center_crop(functional.resize(upright, [resize]), list(shape[1:]))
    tensor: Tensor = functional.to_dtype(
        functional.pil_to_tensor(cropped), torch.float32, scale=True
    )
    return tensor


def converted(image: Image.Image, mode: str) -> Image.Image:
    """The image in that mode, "L" or "RGB".

    Raises:
        ValueError: its values are not bytes; Pillow would cut them off at 255 and make another image of it.
    """
    if image.mode.startswith(("I", "F")):
        raise ValueError(
            f"Expected an image of 8 bits a channel, got one of mode {image.mode!r}; scale its values to 0 ... 255 first."
        )
    return image.convert(mode)


def check_images(x: Tensor, shape: tuple[int, ...], *, grid: bool, box: bool = True) -> Tensor:
    """The images as a float32 batch (B, C, H, W).

    Raises:
        ValueError: x is no tensor of that shape, or has pixels that are NaN, outside [0, 1] (if `box`) or
            off the 8-bit grid (if `grid`).
    """
    if not isinstance(x, Tensor):
        raise ValueError(
            f"Expected a torch tensor, got {type(x).__name__}; pass clf.transform(image) for a PIL image."
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
    if not (low >= least and high <= most):
        raise ValueError(
            f"Expected pixels in [0, 1], got [{low:.4g}, {high:.4g}]; "
            "pass the image before normalization: the classifier normalizes after the noise."
        )
    if (
        grid
        and float((images.double() * 255).sub_((images * 255).round()).abs().max()) > GRID_ROUNDING
    ):
        raise ValueError(
            "Expected pixels that are multiples of 1/255, got others; round them, or use noise='float'."
        )
    return images
