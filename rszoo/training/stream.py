"""A large data set read image by image, in worker processes, for the steps to come."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision.transforms import v2

from rszoo.data.folders import LabelledFiles
from rszoo.smoothing.noise import step_seed

WORKERS = 8

Place = tuple[int, int]
"""The index of an image, and the seed of its augmentation."""


class _Crops(TorchDataset[Tensor]):
    """Training images as the papers crop them on ImageNet: a random part, scaled to the input's size, perhaps flipped."""

    def __init__(self, files: LabelledFiles, size: tuple[int, int]) -> None:
        self.files = files
        self.transform = v2.Compose(
            [v2.RandomResizedCrop(list(size)), v2.RandomHorizontalFlip(), v2.PILToTensor()]
        )

    def __getitem__(self, place: Place) -> Tensor:
        index, seed = place
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            crop: Tensor = self.transform(self.files.image(index))
        return crop


class Stream:
    """Augmented batches in the order in which they were asked for, read ahead.

    Args:
        files: the images.
        size: (height, width) of the crops.
        batches: indices of the images of each batch to come, and the number that seeds it.
        seed: the recipe's.
    """

    def __init__(
        self,
        files: LabelledFiles,
        size: tuple[int, int],
        batches: Iterator[tuple[list[int], int]],
        seed: int,
    ) -> None:
        places = (
            [
                (index, step_seed(seed, f"crop {number}", position))
                for position, index in enumerate(batch)
            ]
            for batch, number in batches
        )
        workers = min(
            WORKERS, max(0, len(files.labels) // 1000)
        )  # a few images are read faster than a process starts
        loader: DataLoader[Tensor] = DataLoader(
            _Crops(files, size),
            batch_sampler=places,
            num_workers=workers,
            pin_memory=torch.cuda.is_available(),
        )
        self.batches = iter(loader)

    def next(self, device: torch.device) -> Tensor:
        """The next batch, uint8 (B, C, H, W)."""
        batch: Tensor = next(self.batches)
        return batch.to(device, non_blocking=True)
