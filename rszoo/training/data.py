"""The images of a run: on the device as uint8, so that a step never waits for them, or streamed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rszoo.data.datasets import (
    Labelled,
    get_dataset,
    image_chunks,
    list_files,
    load_images,
)
from rszoo.data.digest import digest_of, digest_of_files
from rszoo.data.holdout import held_out
from rszoo.data.shapes import data_root
from rszoo.recipe import Extra, Recipe
from rszoo.training.methods import WHOLE, Share
from rszoo.training.stream import Stream, Upcoming

MONITORED = 2000
CHUNK = 256  # images per pass of a measurement
PADDING = {"none": None, "flip": 0, "crop-flip": 4}
"""Zeros around the image before a random crop and flip; None leaves the image alone."""


@dataclass(frozen=True)
class TrainingData:
    """What to train on, and what to monitor.

    Attributes:
        labels: int64 (N,), on the device.
        weights: of the losses, (N,), on the device.
        monitored: images and labels for the noisy accuracy during the run: those held out, or some
            of the training images; never the test images, which would tempt to choose by them.
        monitored_split: which of the two.
        batch: augmented images of some indices, those of this process's share of a batch, uint8
            (B, C, H, W), on the device.
        digest: SHA-256 of the images that are trained on, and of their labels; see `digest_of` and
            `digest_of_files`.
        clean: all images as they are, in order, in chunks, uint8 (B, C, H, W).
    """

    labels: Tensor
    weights: Tensor
    monitored: list[Labelled]
    monitored_split: Literal["held-out", "train"]
    batch: Callable[[Tensor, torch.Generator, Upcoming], Tensor]
    digest: Callable[[], str]
    clean: Callable[[], Iterable[Tensor]]


def augmented(
    images: Tensor, augmentation: str, generator: torch.Generator, share: Share = WHOLE
) -> Tensor:
    """Each uint8 image (B, C, H, W) randomly cropped and flipped, in one gather.

    Args:
        images: on the device of the generator.
        augmentation: a key of `PADDING`.
        generator: the source of randomness, drawn from for the whole batch.
        share: which images of the batch these are.
    """
    if (padding := PADDING[augmentation]) is None:
        return images
    count, channels, height, width = images.shape
    device = images.device

    def draw(high: int) -> Tensor:
        whole = (count * share.of, 1)
        return share.part(torch.randint(high, whole, generator=generator, device=device))

    rows = draw(2 * padding + 1) + torch.arange(height, device=device)
    columns = draw(2 * padding + 1) + torch.arange(width, device=device)
    columns = torch.where(draw(2).bool(), columns.flip(1), columns)
    padded = F.pad(images, (padding,) * 4)
    image = torch.arange(count, device=device).view(-1, 1, 1, 1)
    channel = torch.arange(channels, device=device).view(1, -1, 1, 1)
    return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


def load_data(
    recipe: Recipe, device: torch.device, *, download: bool, share: Share = WHOLE
) -> TrainingData:
    """The images of a recipe, whose batches are one process's share.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the recipe holds out too many images, its extra images have another shape than
            the data set's, or its augmentation or another option is not for this data set.
    """
    if get_dataset(recipe.model.dataset).files is not None:
        return _streamed(recipe, device, share)
    if recipe.training.augmentation not in PADDING:
        raise ValueError(
            f"Expected one of {', '.join(PADDING)} as augmentation of {recipe.model.dataset}, "
            f"got {recipe.training.augmentation!r}; change it."
        )
    return _resident(recipe, device, download, share)


def _resident(recipe: Recipe, device: torch.device, download: bool, share: Share) -> TrainingData:
    training, dataset = recipe.training, recipe.model.dataset
    images, labels = load_images(dataset, "train", download=download)
    held = held_out(labels, training.hold_out or 0)
    if len(held):
        monitored = [(images[held], labels[held])]
        rest = torch.ones(len(labels), dtype=torch.bool).index_fill(0, held, False)
        images, labels = images[rest], labels[rest]
    else:
        load_images(dataset, "test")  # the end of the run needs them: a missing file is found now
        some = torch.arange(0, len(labels), max(1, len(labels) // MONITORED))
        chunks = torch.split(some, CHUNK)
        monitored = [(images[indices], labels[indices]) for indices in chunks]
    weights = torch.ones(len(images))
    if training.extra:
        more, more_labels = _extra_images(training.extra, images)
        images, labels = torch.cat([images, more]), torch.cat([labels, more_labels])
        weights = torch.cat([weights, torch.full((len(more),), training.extra.weight)])
    images, labels = images.to(device), labels.to(device)

    def batch(chosen: Tensor, generator: torch.Generator, upcoming: Upcoming) -> Tensor:
        return augmented(images[chosen], training.augmentation, generator, share)

    return TrainingData(
        labels,
        weights.to(device),
        monitored,
        "held-out" if len(held) else "train",
        batch,
        cache(partial(digest_of, images, labels)),
        lambda: (images[first : first + CHUNK] for first in range(0, len(images), CHUNK)),
    )


def _streamed(recipe: Recipe, device: torch.device, share: Share) -> TrainingData:
    training, dataset = recipe.training, get_dataset(recipe.model.dataset)
    if training.augmentation != "resized-crop-flip" or training.hold_out or training.extra:
        raise ValueError(
            f"Expected augmentation = 'resized-crop-flip' without hold_out or extra for "
            f"{dataset.name}, which is read file by file, got {training.augmentation!r}; "
            "change the recipe."
        )
    files = list_files(dataset.name, "train")
    list_files(dataset.name, "test")  # the end of the run needs them: a missing file is found now
    monitored = list(image_chunks(dataset.name, "train", limit=MONITORED))
    labels, weights = files.labels.to(device), torch.ones(len(files.labels), device=device)
    stream = Stream(files, dataset.shape[1:], training.seed, share)
    digest = cache(partial(digest_of_files, files, dataset.shape, dataset.resize))

    def clean() -> Iterable[Tensor]:
        return (chunk for chunk, _ in image_chunks(dataset.name, "train", size=CHUNK))

    return TrainingData(labels, weights, monitored, "train", stream.batch, digest, clean)


def _extra_images(extra: Extra, like: Tensor) -> tuple[Tensor, Tensor]:
    path = data_root() / extra.file
    if not path.is_file():
        raise FileNotFoundError(
            f"Expected pseudo-labelled images in {path}, got no such file; put the .npz there."
        )
    with np.load(path, allow_pickle=False) as file:
        images = torch.from_numpy(file["images"]).permute(0, 3, 1, 2)
        labels = torch.from_numpy(file["labels"]).long()
    shape = images.shape[1:]
    if images.dtype != torch.uint8 or shape != like.shape[1:] or len(images) != len(labels):
        height, width = like.shape[2:]
        raise ValueError(
            f"Expected uint8 images like (N, {height}, {width}, {like.shape[1]}) and N labels in "
            f"{path}, got {images.dtype} {tuple(images.shape)} and {len(labels)}; "
            "write the file anew."
        )
    return images, labels
