"""Folders of images, one folder a class, as torchvision's ImageFolder reads them."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from PIL import Image
from torch import Tensor
from torchvision.datasets import ImageFolder

from rszoo.images import converted, image_transform


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
            raise ValueError(f"Expected an image in {self.paths[index]}, got this fault: {error}; replace the file.") from error


class Folder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The description of a folder of images; the fields are those of `rszoo.datasets.Dataset`.

    `streamed` says that the images are read one by one, and not all into memory.
    """

    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int
    streamed: bool = False


def list_folder(root: Path, split: str, *, name: str, classes: tuple[str, ...], test: str = "test") -> LabelledFiles:
    """Labels are places in the sorted order of the class folders, which must be that of the classes."""
    source = ImageFolder(str(root / name / (test if split == "test" else split)))
    if len(source.classes) != len(classes):
        raise ValueError(
            f"Expected {len(classes)} folders, one a class, in {source.root}, got {len(source.classes)}; "
            "complete the folder or correct the classes."
        )
    if set(source.classes) == set(classes) and tuple(source.classes) != classes:
        raise ValueError(
            f"Expected the classes of {name} in the order of their sorted folders, {', '.join(source.classes)[:60]}, got "
            f"{', '.join(classes)[:60]}; sort them."
        )
    return LabelledFiles([path for path, _ in source.samples], torch.tensor(source.targets))


def read_folder(root: Path, split: str, download: bool, *, name: str, folder: Folder) -> tuple[Tensor, Tensor]:
    """All images as the classifier sees them, uint8 (N, C, H, W), and their labels; there is nothing to download."""
    files = list_folder(root, split, name=name, classes=folder.classes)
    transform = image_transform(folder.shape, folder.resize)
    return torch.stack([quantized(transform(files.image(index))) for index in range(len(files.labels))]), files.labels


def quantized(pixels: Tensor) -> Tensor:
    """Pixels in [0, 1] as bytes."""
    return pixels.mul(255).round().byte()
