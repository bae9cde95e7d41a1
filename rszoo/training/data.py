"""A small data set on the device as uint8: a step never waits for it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rszoo.datasets import data_root, load_images
from rszoo.recipe import Extra, Recipe

MONITORED = 2000


@dataclass
class TrainingData:
    """What is trained on and what is monitored.

    Attributes:
        images: uint8 (N, C, H, W).
        labels: int64 (N,).
        weights: of the losses, (N,).
        monitored: images and labels for the noisy accuracy during the run: those held out, or the first test images.
    """

    images: Tensor
    labels: Tensor
    weights: Tensor
    monitored: tuple[Tensor, Tensor]


def load_data(recipe: Recipe, device: torch.device, *, download: bool) -> TrainingData:
    """The images of a recipe.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: the extra images do not have the shape of the data set's, or too many images are held out.
    """
    images, labels = load_images(recipe.model.dataset, "train", download=download)
    test, test_labels = load_images(recipe.model.dataset, "test", download=download)
    monitored = (test[:MONITORED], test_labels[:MONITORED])
    held = recipe.training.hold_out or 0
    if held >= len(images):
        raise ValueError(f"Expected hold_out below the {len(images)} training images, got {held}; hold out fewer.")
    if held:
        monitored = (images[-held:], labels[-held:])
        images, labels = images[:-held], labels[:-held]
    weights = torch.ones(len(images))
    if recipe.training.extra:
        more, more_labels = _extra_images(recipe.training.extra, images)
        images, labels = torch.cat([images, more]), torch.cat([labels, more_labels])
        weights = torch.cat([weights, torch.full((len(more),), recipe.training.extra.weight)])
    return TrainingData(images.to(device), labels.to(device), weights.to(device), monitored)


def _extra_images(extra: Extra, like: Tensor) -> tuple[Tensor, Tensor]:
    path = data_root() / extra.file
    if not path.is_file():
        raise FileNotFoundError(f"Expected pseudo-labelled images in {path}, got no such file; put the .npz there.")
    with np.load(path, allow_pickle=False) as file:
        images, labels = torch.from_numpy(file["images"]).permute(0, 3, 1, 2), torch.from_numpy(file["labels"]).long()
    if images.dtype != torch.uint8 or images.shape[1:] != like.shape[1:] or len(images) != len(labels):
        raise ValueError(
            f"Expected uint8 images like (N, {', '.join(map(str, like.shape[2:]))}, {like.shape[1]}) and N labels in {path}, "
            f"got {images.dtype} {tuple(images.shape)} and {len(labels)}; write the file anew."
        )
    return images, labels
