"""Folders of images, one folder per class, as torchvision's ImageFolder lists them.

The images are read as `conversion.convert` does. ImageFolder does not turn an image upright, drops
an alpha channel, and cuts 16 bits to 8: for such files the pixels differ.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import torch
from PIL import Image
from torch import Tensor
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import IMG_EXTENSIONS

from rszoo.data.conversion import ImageError, convert
from rszoo.data.images import image_transform

Result = TypeVar("Result")

ELSEWHERE = "set RSZOO_DATA to the folder that holds it"


@dataclass(frozen=True)
class LabelledFiles:
    """Image files and their labels, int64 (N,), and the folder that holds all of them."""

    paths: list[str]
    labels: Tensor
    folder: Path = Path()

    def image(self, index: int) -> Image.Image:
        """The image at `index`, in RGB, upright.

        Raises:
            ValueError: the file is not an image, or not one that `convert` reads.
        """
        return self._read(index, lambda image: convert(image, "RGB"))

    def pixels(self, index: int, shape: tuple[int, int, int], resize: int) -> Tensor:
        """The image at `index` as a classifier of this input sees it, uint8 (C, H, W).

        Raises:
            ValueError: as `image`, or the image does not cover the crop.
        """
        tensor = self._read(index, image_transform(shape, resize))
        return tensor.mul(255).round().byte()

    def _read(self, index: int, function: Callable[[Image.Image], Result]) -> Result:
        try:
            with Image.open(self.paths[index]) as image:
                return function(image)
        except ImageError:  # names the file
            raise
        except (OSError, ValueError, SyntaxError) as error:
            raise ValueError(
                f"Expected an image in {self.paths[index]}, got this fault: {error}; "
                "replace the file."
            ) from error


class Folder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The description of a folder of images; its fields are those of `datasets.Dataset`.

    `streamed` says that images are read one by one, not all into memory.
    """

    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int
    streamed: bool = False


def check_folder(folder: Folder, path: Path) -> None:
    """Raise ValueError if a value of the description in `path` is out of range or inconsistent."""
    channels, height, width = folder.shape
    side = min(height, width)
    repeated = [name for name, times in Counter(folder.classes).items() if times > 1]
    shape = channels in (1, 3) and side > 0
    mean = len(folder.mean) == channels and all(0 <= value <= 1 for value in folder.mean)
    std = len(folder.std) == channels and all(0 < value < math.inf for value in folder.std)
    crop = f"resize of at least {side}, for a crop of {height} x {width}"
    per_channel = "give one per channel, in pixel units [0, 1]"
    rules: tuple[tuple[bool, str, object, str], ...] = (
        (len(folder.classes) > 0, "classes", [], "name one or more"),
        (not repeated, "classes of different names", repeated, "name each once"),
        (shape, "shape = [1 or 3 channels, height, width]", list(folder.shape), "correct it"),
        (mean, f"mean = [{channels} numbers from 0 to 1]", list(folder.mean), per_channel),
        (std, f"std = [{channels} finite numbers above 0]", list(folder.std), per_channel),
        (folder.resize >= side, crop, folder.resize, "raise it"),
    )
    for holds, expected, got, remedy in rules:
        if not holds:
            raise ValueError(f"Expected {expected} in {path}, got {got}; {remedy}.")


def list_folder(
    root: Path, split: str, *, name: str, classes: tuple[str, ...], test: str = "test"
) -> LabelledFiles:
    """The files of a split; a label is the position of the file's folder in sorted order.

    Args:
        root: holds the data set.
        split: "train" or "test"; training images are listed only if the test images are complete.
        name: the folder of the data set.
        classes: in label order: the names of the class folders, or other names for all of them.
        test: the folder of the test images.

    Raises:
        FileNotFoundError: the folder of a split is missing, or a class folder holds no image.
        ValueError: the class folders of a split are not those of the classes or of the other split.
    """
    place, train = root / name / (test if split == "test" else split), root / name / "train"
    if not place.is_dir():
        raise FileNotFoundError(
            f"Expected a complete {name} in {root}, got none; "
            f"{ELSEWHERE}, or add the missing folder {place}."
        )
    folders = _class_folders(place)
    _check_classes(place, folders, name, classes)
    if split == "train":  # else a training would find out at its end, when it is tested
        list_folder(root, "test", name=name, classes=classes, test=test)
    elif train.is_dir() and (odd := sorted(set(_class_folders(train)) - set(folders))):
        raise ValueError(
            f"Expected the same folders in {train} and {place}, got {odd[0]!r} in {train} only; "
            "make them agree."
        )
    source = ImageFolder(str(place), allow_empty=True)
    if empty := sorted(set(range(len(folders))) - set(source.targets)):
        raise FileNotFoundError(
            f"Expected images in {place / folders[empty[0]]}, "
            f"got no file of {', '.join(IMG_EXTENSIONS)}; add some."
        )
    paths = [path for path, _ in source.samples]
    return LabelledFiles(paths, torch.tensor(source.targets, device="cpu"), place)


def _class_folders(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir() if path.is_dir())


def _check_classes(place: Path, folders: list[str], name: str, classes: tuple[str, ...]) -> None:
    """Raise ValueError if a class may be meant for another folder than the one at its position."""
    if len(folders) != len(classes):
        raise ValueError(
            f"Expected {len(classes)} folders, one per class, in {place}, got {len(folders)}; "
            "complete the folder or correct the classes."
        )
    differing = [
        (label, folder)
        for label, folder in zip(classes, folders, strict=True)
        if _plain(label) != _plain(folder) or (label != folder and label in folders)
    ]
    if differing and set(map(_plain, classes)) & set(map(_plain, folders)):
        raise ValueError(
            f"Expected the classes of {name} in the order of their sorted folders, "
            f"{', '.join(folders)[:60]}, got {', '.join(classes)[:60]}, "
            f"so that {differing[0][0]!r} would label {place / differing[0][1]}; "
            "write the names of the folders in that order, or other names for all of them."
        )


def _plain(name: str) -> str:
    """What a class and its folder share however they are spelled."""
    return name.casefold().replace("_", " ")


def read_folder(
    root: Path, split: str, download: bool, *, name: str, folder: Folder
) -> tuple[Tensor, Tensor]:
    """All images of a split, uint8 (N, C, H, W), and their labels; there is nothing to download."""
    files = list_folder(root, split, name=name, classes=folder.classes)
    indices = range(len(files.labels))
    pixels = [files.pixels(index, folder.shape, folder.resize) for index in indices]
    return torch.stack(pixels), files.labels
