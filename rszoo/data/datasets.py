"""The data sets of the zoo: the shape of an image, the names of the classes, how to read them.

ImageNet is `imagenet/train/<class>/*` and `imagenet/val/<class>/*` under `RSZOO_DATA`, as
torchvision's ImageFolder lists them. Other data sets are such folders too: `<name>.toml` there,
with the keys of `Folder`, describes `<name>/train` and `<name>/test`. Its classes are the names of
the class folders in sorted order, or other names for them in the same order.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets as tv
from torchvision.models import ResNet50_Weights

from rszoo.data.digest import digest_of, digest_of_files
from rszoo.data.folders import (
    ELSEWHERE,
    Folder,
    LabelledFiles,
    check_folder,
    list_folder,
    read_folder,
)
from rszoo.data.shapes import SHAPES, data_root
from rszoo.errors import decoded

Split = Literal["train", "test"]
Labelled = tuple[Tensor, Tensor]
"""Images, uint8 (N, C, H, W), and labels, int64 (N,)."""

UNREADABLE = (OSError, RuntimeError, ValueError, AssertionError, struct.error, EOFError)
"""What torchvision raises for files that are absent or damaged."""


@dataclass(frozen=True)
class Dataset:
    """One data set.

    Attributes:
        name: as in entry names.
        classes: names of the classes, in label order.
        shape: (channels, height, width) of the tensor that receives the noise.
        mean, std: per channel, in pixel units [0, 1], of the training images.
        resize: the shorter side of an image is scaled to this many pixels before the centre crop to
            `shape`.
        read: (root, split, download) to all images of a split, if they fit into memory.
        files: (root, split) to the files of a split, if they are read one by one.
    """

    name: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int
    read: Callable[[Path, Split, bool], Labelled] | None = None
    files: Callable[[Path, Split], LabelledFiles] | None = None

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.classes)


@dataclass(frozen=True)
class LabelledImages:
    """A split: its labels, a function from an index to that image's pixels, and its digest."""

    labels: Tensor  # int64 (N,)
    pixels: Callable[[int], Tensor]  # uint8 (C, H, W)
    digest: Callable[[], str]  # as the function `digest`, but computed once, of these images


def _tensors(images: np.ndarray | Tensor, labels: list[int] | np.ndarray | Tensor) -> Labelled:
    """torchvision's arrays, (N, H, W), (N, H, W, C) or (N, C, H, W), as tensors."""
    pixels = torch.as_tensor(images, device="cpu")
    if pixels.ndim == 3:
        pixels = pixels.unsqueeze(1)
    elif pixels.shape[-1] == 3:
        pixels = pixels.permute(0, 3, 1, 2)
    return pixels.contiguous(), torch.as_tensor(labels, device="cpu").long()


def _read_torchvision(kind: type, root: Path, split: Split, download: bool) -> Labelled:
    source = kind(str(root), train=split == "train", download=download)
    return _tensors(source.data, source.targets)


def _read_svhn(root: Path, split: Split, download: bool) -> Labelled:
    source = tv.SVHN(str(root / "svhn"), split=split, download=download)
    return _tensors(source.data, source.labels)


DIGITS = tuple("0123456789")
CIFAR100 = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus "
    "butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch "
    "crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo "
    "keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain "
    "mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain "
    "plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk "
    "skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone "
    "television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"
)
CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
FASHION = "t-shirt,trouser,pullover,dress,coat,sandal,shirt,sneaker,bag,ankle boot"
IMAGENET = tuple(ResNet50_Weights.DEFAULT.meta["categories"])

DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="cifar10",
            classes=tuple(CIFAR10.split()),
            shape=SHAPES["cifar10"],
            mean=(0.4914, 0.4822, 0.4465),
            std=(0.2470, 0.2435, 0.2616),
            resize=32,
            read=partial(_read_torchvision, tv.CIFAR10),
        ),
        Dataset(
            name="cifar100",
            classes=tuple(CIFAR100.split()),
            shape=SHAPES["cifar100"],
            mean=(0.5071, 0.4865, 0.4409),
            std=(0.2673, 0.2564, 0.2762),
            resize=32,
            read=partial(_read_torchvision, tv.CIFAR100),
        ),
        Dataset(
            name="svhn",
            classes=DIGITS,
            shape=SHAPES["svhn"],
            mean=(0.4377, 0.4438, 0.4728),
            std=(0.1980, 0.2010, 0.1970),
            resize=32,
            read=_read_svhn,
        ),
        Dataset(
            name="mnist",
            classes=DIGITS,
            shape=SHAPES["mnist"],
            mean=(0.1307,),
            std=(0.3081,),
            resize=28,
            read=partial(_read_torchvision, tv.MNIST),
        ),
        Dataset(
            name="fashionmnist",
            classes=tuple(FASHION.split(",")),
            shape=SHAPES["fashionmnist"],
            mean=(0.2860,),
            std=(0.3530,),
            resize=28,
            read=partial(_read_torchvision, tv.FashionMNIST),
        ),
        Dataset(
            name="imagenet",
            classes=IMAGENET,
            shape=SHAPES["imagenet"],
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            resize=256,
            files=partial(list_folder, name="imagenet", classes=IMAGENET, test="val"),
        ),
    )
}


def get_dataset(name: str) -> Dataset:
    """The data set of that name: one of `DATASETS`, or a folder described under `data_root()`.

    Raises:
        ValueError: there is no such data set, or its description is not valid.
    """
    if name in DATASETS:
        return DATASETS[name]
    path = data_root() / f"{name}.toml"
    if not path.is_file():
        raise ValueError(
            f"Unknown data set {name!r}; "
            f"use one of {', '.join(DATASETS)}, or describe a folder in {path}."
        )
    try:
        folder = decoded(path.read_bytes(), Folder)
    except ValueError as error:
        raise ValueError(
            f"Expected the description of a folder in {path}, got this fault: {error}."
        ) from error
    check_folder(folder, path)
    read = None if folder.streamed else partial(read_folder, name=name, folder=folder)
    files = partial(list_folder, name=name, classes=folder.classes) if folder.streamed else None
    return Dataset(
        name, folder.classes, folder.shape, folder.mean, folder.std, folder.resize, read, files
    )


def load_images(name: str, split: Split, *, download: bool = False) -> Labelled:
    """All images of a split, uint8 (N, C, H, W), and their labels, int64 (N,).

    Raises:
        FileNotFoundError: the data set is not under `data_root()` and `download` is false, or the
            download failed; or as `list_folder`.
        ValueError: there is no data set of that name, its description is not valid, or it is too
            large for memory; or as `list_folder`.
    """
    read = get_dataset(name).read
    if read is None:
        raise ValueError(
            f"Expected a data set that fits into memory, got {name!r}; read it with list_files."
        )
    try:
        return read(data_root(), split, download)
    except UNREADABLE as error:
        if name not in DATASETS:  # a folder, whose errors say what is missing
            raise
        fetch = f"{ELSEWHERE}, or let --download of 'rszoo train' or 'rszoo evaluate' fetch it"
        remedy = "check the connection" if download else fetch
        raise FileNotFoundError(
            f"Expected a complete {name} in {data_root()}, got none; {remedy}."
        ) from error


def list_files(name: str, split: Split) -> LabelledFiles:
    """The files of a split of a data set that is read one by one.

    Raises:
        FileNotFoundError: as `list_folder`.
        ValueError: there is no data set of that name, its description is not valid, or it is read
            into memory; or as `list_folder`.
    """
    files = get_dataset(name).files
    if files is None:
        raise ValueError(
            f"Expected a data set of image files, got {name!r}; read it with load_images."
        )
    return files(data_root(), split)


def open_images(name: str, split: Split, *, download: bool = False) -> LabelledImages:
    """The images of a split as the classifier sees them, one at a time, however large it is.

    Raises:
        FileNotFoundError, ValueError: as `load_images` and `list_files`.
    """
    dataset = get_dataset(name)
    if dataset.files is None:
        images, labels = load_images(name, split, download=download)
        return LabelledImages(labels, images.__getitem__, cache(partial(digest_of, images, labels)))
    files = list_files(name, split)
    pixels = partial(files.pixels, shape=dataset.shape, resize=dataset.resize)
    content = cache(partial(digest_of_files, files, dataset.shape, dataset.resize))
    return LabelledImages(files.labels, pixels, content)


def digest(name: str, split: Split, *, download: bool = False) -> str:
    """SHA-256 of a split: `digest_of` its images, or `digest_of_files` if read file by file.

    It reads them each time, as files may change. `open_images(...).digest()` needs no second read.

    Raises:
        FileNotFoundError, ValueError: as `load_images` and `list_files`.
    """
    return open_images(name, split, download=download).digest()


def image_chunks(
    name: str, split: Split, *, limit: int | None = None, size: int = 256
) -> Iterator[Labelled]:
    """Images of a split in chunks of `size`, as the classifier sees them.

    Args:
        name: of the data set.
        split: "train" or "test".
        limit: yield about this many images, evenly spaced, instead of all.
        size: images per chunk.

    Raises:
        FileNotFoundError, ValueError: as `open_images`.
    """
    images = open_images(name, split)
    total = len(images.labels)
    indices = range(0, total, max(1, total // (limit or total)))
    for start in range(0, len(indices), size):
        chosen = list(indices[start : start + size])
        yield torch.stack([images.pixels(index) for index in chosen]), images.labels[chosen]
