"""The shapes of the data sets' images, without torch: what l2 radii imply in other norms needs no
pixels, only their number.
"""

import math
import os
from pathlib import Path

import msgspec

SHAPES: dict[str, tuple[int, int, int]] = {
    "cifar10": (3, 32, 32),
    "cifar100": (3, 32, 32),
    "svhn": (3, 32, 32),
    "mnist": (1, 28, 28),
    "fashionmnist": (1, 28, 28),
    "imagenet": (3, 224, 224),
}
"""(channels, height, width) of the tensor that receives the noise, by data set."""


class _Described(msgspec.Struct):
    """What is read here of the description of a folder of images."""

    shape: tuple[int, int, int]


def data_root() -> Path:
    """The folder that holds data sets: `RSZOO_DATA`, or `~/.cache/rszoo/data`."""
    return Path(os.environ.get("RSZOO_DATA") or Path.home() / ".cache" / "rszoo" / "data")


def pixel_values(name: str) -> int:
    """C H W of an image of that data set: one of `SHAPES`, or described under `data_root()`.

    Raises:
        ValueError: there is no such data set, or its description is not valid.
    """
    if name in SHAPES:
        return math.prod(SHAPES[name])
    path = data_root() / f"{name}.toml"
    try:
        values = math.prod(msgspec.toml.decode(path.read_bytes(), type=_Described).shape)
    except (OSError, msgspec.DecodeError):
        values = 0
    if values < 1:
        raise ValueError(
            f"Expected a data set whose image shape is known, got {name!r}; "
            f"use one of {', '.join(SHAPES)}, or describe it in {path}."
        )
    return values
