"""Folders of images, one folder a class, as torchvision's ImageFolder reads them."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from PIL import Image
from torch import Tensor
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import IMG_EXTENSIONS

from rszoo.data.images import converted, image_transform

ELSEWHERE = "set RSZOO_DATA to the folder that holds it"


@dataclass(frozen=True)
class LabelledFiles:
    """Image files and their labels, int64 (N,)."""

    paths: list[str]
    labels: Tensor

    def image(self, index: int) -> Image.Image:
        """The image of that number, in RGB.

        Raises:
            ValueError: the file is no image, or not of 8 bits a channel.
        """
        try:
            with Image.open(self.paths[index]) as image:
                return converted(image, "RGB")
        except (OSError, ValueError) as error:
            raise ValueError(
                f"Expected an image in {self.paths[index]}, got this fault: {error}; replace the file."
            ) from error


class Folder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The description of a folder of images; the fields are those of `rszoo.data.datasets.Dataset`.

    `streamed` says that the images are read one by one, and not all into memory.
    """

    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int
    streamed: bool = False


def check_folder(folder: Folder, path: Path) -> None:
    """That there can be a data set of this description.

    Args:
        folder: the description.
        path: the file that it is from.

    Raises:
        ValueError: a value is out of range, or does not fit the shape.
    """
    channels, height, width = folder.shape
    repeated = [name for name, times in Counter(folder.classes).items() if times > 1]
    side, one_each = min(height, width), "give one a channel, in pixel units [0, 1]"
    mean = len(folder.mean) == channels and all(0 <= each <= 1 for each in folder.mean)
    std = len(folder.std) == channels and all(0 < each < math.inf for each in folder.std)
    rules: tuple[tuple[bool, str, object, str], ...] = (
        (len(folder.classes) > 0, "classes", [], "name one or more"),
        (not repeated, "classes of different names", repeated, "name each once"),
        (
            channels in (1, 3) and side > 0,
            "shape = [1 or 3 channels, height, width]",
            list(folder.shape),
            "correct it",
        ),
        (mean, f"mean = [{channels} numbers from 0 to 1]", list(folder.mean), one_each),
        (std, f"std = [{channels} finite numbers above 0]", list(folder.std), one_each),
        (
            folder.resize >= side,
            f"resize of at least {side}, for a crop of {height} x {width}",
            folder.resize,
            "raise it",
        ),
    )
    for holds, expected, got, remedy in rules:
        if not holds:
            raise ValueError(f"Expected {expected} in {path}, got {got}; {remedy}.")


def list_folder(
    root: Path, split: str, *, name: str, classes: tuple[str, ...], test: str = "test"
) -> LabelledFiles:
    """The files of a split; labels are places in the sorted order of the class folders, which must be that of the classes.

    Args:
        root: holds the data set.
        split: "train" or "test"; the training images are listed only if the test images are whole, too.
        name: the folder of the data set.
        classes: in label order: the names of the class folders, or other names for all of them.
        test: the folder of the test images.

    Raises:
        FileNotFoundError: the folder of a split is missing, or that of a class holds no image.
        ValueError: the class folders of a split are not those of the classes or of the other split.
    """
    place, train = root / name / (test if split == "test" else split), root / name / "train"
    if not place.is_dir():
        raise FileNotFoundError(
            f"Expected {name} in {root}, got none that is whole; {ELSEWHERE}, or add the missing folder {place}."
        )
    folders = _class_folders(place)
    _check_classes(place, folders, name, classes)
    if split == "train":  # else a training would find out at its end, when it is tested
        list_folder(root, "test", name=name, classes=classes, test=test)
    elif train.is_dir() and (odd := sorted(set(_class_folders(train)) - set(folders))):
        raise ValueError(
            f"Expected the same folders in {train} and {place}, got {odd[0]!r} in {train} only; make them agree."
        )
    source = ImageFolder(str(place), allow_empty=True)
    if empty := sorted(set(range(len(folders))) - set(source.targets)):
        extensions = ", ".join(IMG_EXTENSIONS)
        raise FileNotFoundError(
            f"Expected images in {place / folders[empty[0]]}, got no file of {extensions}; add some."
        )
    return LabelledFiles([path for path, _ in source.samples], torch.tensor(source.targets))


def _class_folders(place: Path) -> list[str]:
    return sorted(each.name for each in place.iterdir() if each.is_dir())


def _check_classes(place: Path, folders: list[str], name: str, classes: tuple[str, ...]) -> None:
    """That no class can be meant for another folder than the one at its place."""
    if len(folders) != len(classes):
        raise ValueError(
            f"Expected {len(classes)} folders, one a class, in {place}, got {len(folders)}; "
            "complete the folder or correct the classes."
        )
    pairs = zip(classes, folders, strict=True)
    differing = [
        (each, own)
        for each, own in pairs
        if _plain(each) != _plain(own) or (each != own and each in folders)
    ]
    if differing and set(map(_plain, classes)) & set(map(_plain, folders)):
        raise ValueError(
            f"Expected the classes of {name} in the order of their sorted folders, {', '.join(folders)[:60]}, got "
            f"{', '.join(classes)[:60]}, so that {differing[0][0]!r} would label {place / differing[0][1]}; "
            "write the names of the folders in that order, or other names for all of them."
        )


def _plain(name: str) -> str:
    """What a class and its folder have in common where they are spelled differently."""
    return name.casefold().replace("_", " ")


def read_folder(
    root: Path, split: str, download: bool, *, name: str, folder: Folder
) -> tuple[Tensor, Tensor]:
    """All images as the classifier sees them, uint8 (N, C, H, W), and their labels; there is nothing to download."""
    files = list_folder(root, split, name=name, classes=folder.classes)
    transform = image_transform(folder.shape, folder.resize)
    return torch.stack(
        [quantized(transform(files.image(index))) for index in range(len(files.labels))]
    ), files.labels


def quantized(pixels: Tensor) -> Tensor:
    """Pixels in [0, 1] as bytes."""
    return pixels.mul(255).round().byte()
