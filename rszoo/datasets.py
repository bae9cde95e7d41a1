"""The data sets of the zoo: what an image is, what its classes are called, how it is opened."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets as tv

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Dataset:
    """One data set.

    Attributes:
        name: its name in entry names.
        classes: the names of the classes, in label order.
        shape: (channels, height, width) of the tensor that receives the noise.
        mean, std: per channel, in pixel units [0, 1], of the training images.
        resize: side in pixels that the shorter side of an image is scaled to before the centre crop to `shape`.
        open: (root, split, download) to a torchvision data set.
    """

    name: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int
    open: Callable[[Path, Split, bool], tv.CIFAR10]

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.classes)


DATASETS = {
    "cifar10": Dataset(
        name="cifar10",
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        shape=(3, 32, 32),
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        resize=32,
        open=lambda root, split, download: tv.CIFAR10(str(root), train=split == "train", download=download),
    ),
}


def get_dataset(name: str) -> Dataset:
    """The data set of that name.

    Raises:
        ValueError: the name is not in `DATASETS`.
    """
    if name not in DATASETS:
        raise ValueError(f"Unknown data set {name!r}; use one of {', '.join(DATASETS)}.")
    return DATASETS[name]


def data_root() -> Path:
    """The folder that holds data sets: `RSZOO_DATA`, or `~/.cache/rszoo/data`."""
    return Path(os.environ.get("RSZOO_DATA") or Path.home() / ".cache" / "rszoo" / "data")


def load_images(name: str, split: Split, *, download: bool = False) -> tuple[Tensor, Tensor]:
    """A small data set as a whole: images uint8 of shape (N, C, H, W) and labels int64 of shape (N,).

    Raises:
        FileNotFoundError: it is not under `data_root()` and `download` is false, or the download failed.
    """
    dataset, root = get_dataset(name), data_root()
    try:
        source = dataset.open(root, split, download)
    except (RuntimeError, OSError) as error:
        remedy = "check the connection" if download else "set RSZOO_DATA to the folder that holds it, or pass --download"
        raise FileNotFoundError(f"Expected {name} in {root}, got none ({error}); {remedy}.") from error
    images = torch.from_numpy(np.ascontiguousarray(source.data)).permute(0, 3, 1, 2).contiguous()
    return images, torch.tensor(source.targets)
