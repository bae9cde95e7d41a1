"""A data set in files, read image by image in worker processes ahead of the steps."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision.transforms import v2

from rszoo.data.folders import LabelledFiles
from rszoo.smoothing.noise import step_seed
from rszoo.training.methods import WHOLE, Share

WORKERS = 8
IMAGES_PER_WORKER = 1000  # fewer are read faster than a process starts

Place = tuple[int, int]
"""The index of an image, and the seed of its augmentation."""

Upcoming = Callable[[], Iterator[tuple[list[int], int]]]
"""The batches from the present one on: indices of the images, and the number that seeds them."""


class _Crops(TorchDataset[Tensor]):
    """The papers' crops on ImageNet: a random part, resized to the input, perhaps flipped."""

    def __init__(self, files: LabelledFiles, size: tuple[int, int]) -> None:
        self.files = files
        self.transform = v2.Compose(
            [v2.RandomResizedCrop(list(size)), v2.RandomHorizontalFlip(), v2.PILToTensor()]
        )

    def __getitem__(self, place: Place) -> Tensor:
        index, seed = place
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed GPUs too
            crop: Tensor = self.transform(self.files.image(index))
        return crop


class Stream:
    """Augmented batches in the order of the steps, read ahead.

    Args:
        files: the images.
        size: (height, width) of the crops.
        seed: the recipe's.
        share: of each batch, the images to read.
    """

    def __init__(
        self, files: LabelledFiles, size: tuple[int, int], seed: int, share: Share = WHOLE
    ) -> None:
        self.crops, self.seed, self.share = _Crops(files, size), seed, share
        self.batches: Iterator[Tensor] = iter(())

    def batch(self, chosen: Tensor, generator: torch.Generator, upcoming: Upcoming) -> Tensor:
        """The next batch; where none was read ahead, `upcoming` says which ones are to come."""
        batch = next(self.batches, None)
        if batch is None:
            self.batches = iter(self._loader(upcoming()))
            batch = next(self.batches)
        return batch.to(chosen.device, non_blocking=True)

    def _own(self, batch: list[int]) -> list[tuple[int, int]]:
        """The places of this share in the batch, with the indices of their images."""
        size = len(batch) // self.share.of
        return list(enumerate(batch))[self.share.number * size :][:size]

    def _loader(self, upcoming: Iterator[tuple[list[int], int]]) -> "DataLoader[Tensor]":
        places = (
            [
                (index, step_seed(self.seed, f"crop {number}", position))
                for position, index in self._own(batch)
            ]
            for batch, number in upcoming
        )
        return DataLoader(
            self.crops,
            batch_sampler=places,
            num_workers=min(WORKERS, len(self.crops.files.labels) // IMAGES_PER_WORKER),
            pin_memory=torch.cuda.is_available(),
        )
