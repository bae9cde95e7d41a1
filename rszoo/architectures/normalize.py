"""The normalization layer, which is part of the model: noise is added in pixel space, before it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalize(nn.Module):
    """Subtract the mean and divide by the standard deviation of each channel.

    Both are buffers, so they travel with the weights: a checkpoint without its normalization is a
    different classifier.

    Args:
        mean: one value per channel, in pixel units [0, 1].
        std: one positive value per channel, in pixel units.

    Raises:
        ValueError: the lengths differ or a standard deviation is not positive.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std) or min(std) <= 0:
            raise ValueError(
                f"Expected a mean and a positive std for each channel, got mean={mean}, std={std}; "
                "pass as many of each as there are channels."
            )
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in pixel units to normalized ones."""
        return (x - self.mean).div_(self.std)


class NormalizedNetwork(nn.Module):
    """`network(normalize(x))` for images (B, C, H, W) in pixel units, noise included."""

    def __init__(self, normalize: Normalize, network: nn.Module) -> None:
        super().__init__()
        self.normalize = normalize
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Images in pixel units to logits, float32 even if the network computes in bfloat16."""
        logits: Tensor = self.network(self.normalize(x))
        return logits.float() if logits.dtype == torch.bfloat16 else logits
