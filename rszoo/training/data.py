"""The images of a run: on the device as uint8, so that a step never waits for them, or read ahead file by file."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from rszoo.data.datasets import (
    Labelled,
    data_root,
    get_dataset,
    image_chunks,
    list_files,
    load_images,
)
from rszoo.data.folders import LabelledFiles
from rszoo.recipe import Extra, Recipe
from rszoo.training.augmentation import AUGMENTATIONS
from rszoo.training.stream import Stream

MONITORED = 2000

Upcoming = Callable[[], Iterator[tuple[list[int], int]]]
"""The batches from the present one on: indices of the images, and the number that seeds their augmentation."""


class TrainingData(Protocol):
    """What is trained on, and what is monitored.

    Attributes:
        labels: int64 (N,).
        weights: of the losses, (N,).
        monitored: images and labels for the noisy accuracy during the run: those held out, or some of the test images.
    """

    labels: Tensor
    weights: Tensor
    monitored: list[Labelled]

    def batch(self, chosen: Tensor, generator: torch.Generator, upcoming: Upcoming) -> Tensor:
        """Augmented images of those indices, uint8 (B, C, H, W), on the device."""
        ...


@dataclass
class ResidentData:
    """A data set that is on the device as a whole; see `TrainingData`."""

    images: Tensor
    labels: Tensor
    weights: Tensor
    monitored: list[Labelled]
    augmentation: str

    def batch(self, chosen: Tensor, generator: torch.Generator, upcoming: Upcoming) -> Tensor:
        """Augmented on the device."""
        return AUGMENTATIONS[self.augmentation](self.images[chosen], generator)


@dataclass
class StreamedData:
    """A data set that is read file by file, ahead of the steps; see `TrainingData`."""

    files: LabelledFiles
    labels: Tensor
    weights: Tensor
    monitored: list[Labelled]
    size: tuple[int, int]
    seed: int
    stream: Stream | None = None

    def batch(self, chosen: Tensor, generator: torch.Generator, upcoming: Upcoming) -> Tensor:
        """The next batch that was read ahead."""
        if self.stream is None:
            self.stream = Stream(self.files, self.size, upcoming(), self.seed)
        return self.stream.next(chosen.device)


def load_data(recipe: Recipe, device: torch.device, *, download: bool) -> TrainingData:
    """The images of a recipe.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: the extra images do not have the shape of the data set's, too many images are held out, or the
            augmentation or another option is not for this data set.
    """
    if get_dataset(recipe.model.dataset).files is not None:
        return _streamed(recipe, device)
    if recipe.training.augmentation not in AUGMENTATIONS:
        known = ", ".join(AUGMENTATIONS)
        raise ValueError(
            f"Expected one of {known} as augmentation here, got {recipe.training.augmentation!r}; change it."
        )
    return _resident(recipe, device, download)


def _resident(recipe: Recipe, device: torch.device, download: bool) -> ResidentData:
    images, labels = load_images(recipe.model.dataset, "train", download=download)
    held = recipe.training.hold_out or 0
    if held >= len(images):
        raise ValueError(
            f"Expected hold_out below the {len(images)} training images, got {held}; hold out fewer."
        )
    if held:
        monitored = [(images[-held:], labels[-held:])]
        images, labels = images[:-held], labels[:-held]
    else:
        monitored = list(image_chunks(recipe.model.dataset, "test", limit=MONITORED))
    weights = torch.ones(len(images))
    if recipe.training.extra:
        more, more_labels = _extra_images(recipe.training.extra, images)
        images, labels = torch.cat([images, more]), torch.cat([labels, more_labels])
        weights = torch.cat([weights, torch.full((len(more),), recipe.training.extra.weight)])
    augmentation = recipe.training.augmentation
    return ResidentData(
        images.to(device), labels.to(device), weights.to(device), monitored, augmentation
    )


def _streamed(recipe: Recipe, device: torch.device) -> StreamedData:
    training, dataset = recipe.training, get_dataset(recipe.model.dataset)
    if training.augmentation != "resized-crop-flip" or training.hold_out or training.extra:
        raise ValueError(
            f"Expected augmentation = 'resized-crop-flip' without hold_out or extra for {dataset.name}, which is read file by "
            f"file, got {training.augmentation!r}; change the recipe."
        )
    files = list_files(dataset.name, "train")
    monitored = list(image_chunks(dataset.name, "test", limit=MONITORED))
    labels, weights = files.labels.to(device), torch.ones(len(files.labels), device=device)
    return StreamedData(files, labels, weights, monitored, dataset.shape[1:], training.seed)


def _extra_images(extra: Extra, like: Tensor) -> tuple[Tensor, Tensor]:
    path = data_root() / extra.file
    if not path.is_file():
        raise FileNotFoundError(
            f"Expected pseudo-labelled images in {path}, got no such file; put the .npz there."
        )
    with np.load(path, allow_pickle=False) as file:
        images, labels = (
            torch.from_numpy(file["images"]).permute(0, 3, 1, 2),
            torch.from_numpy(file["labels"]).long(),
        )
    if (
        images.dtype != torch.uint8
        or images.shape[1:] != like.shape[1:]
        or len(images) != len(labels)
    ):
        raise ValueError(
            f"Expected uint8 images like (N, {', '.join(map(str, like.shape[2:]))}, {like.shape[1]}) and N labels in {path}, "
            f"got {images.dtype} {tuple(images.shape)} and {len(labels)}; write the file anew."
        )
    return images, labels
