"""Which images the steps of each epoch take."""

from collections.abc import Mapping

import torch
from torch import Tensor

from rszoo.smoothing.noise import step_generator

KEPT = 2  # orders: batches that are read ahead may be of the next epoch


class Sampler:
    """The order of the images in each epoch, from the seed of a run and the number of the epoch.

    Args:
        seed: the recipe's.
        count: how many images there are.
        device: of the indices.

    Attributes:
        weights: with which images are drawn, float64 (N,), with replacement; without weights an
            epoch takes each image at most once.
    """

    def __init__(self, seed: int, count: int, device: torch.device) -> None:
        self.seed, self.count, self.device = seed, count, device
        self.weights: Tensor | None = None
        self._orders: dict[int, Tensor] = {}

    def order(self, epoch: int) -> Tensor:
        """The indices of that epoch's images, (N,)."""
        if epoch not in self._orders:
            recent = list(self._orders.items())[1 - KEPT :]
            self._orders = dict(recent) | {epoch: self._drawn(epoch)}
        return self._orders[epoch]

    def _drawn(self, epoch: int) -> Tensor:
        generator = step_generator(self.seed, "order", epoch, self.device)
        if self.weights is None:
            return torch.randperm(self.count, generator=generator, device=self.device)
        return torch.multinomial(self.weights, self.count, replacement=True, generator=generator)

    def reweigh(self, weights: Tensor) -> None:
        """Draw by these weights from now on."""
        self.weights, self._orders = weights.to(self.device), {}

    def state_dict(self) -> dict[str, Tensor | None]:
        """What a checkpoint holds."""
        return {"weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Tensor | None]) -> None:
        """Go on with the weights of a checkpoint."""
        if (weights := state["weights"]) is not None:
            self.reweigh(weights)
