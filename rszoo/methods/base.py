"""What a training method is: hyper-parameters and a loss."""

from typing import Protocol

import torch
from torch import Tensor, nn


class Method(Protocol):
    """A frozen dataclass of hyper-parameters with the paper's symbols, and its loss.

    The loss is a scalar that is differentiable in the parameters of `model`. It draws all its noise from `generator`, leaves x
    and the mode of the model alone, and knows nothing of optimizers, data or devices.
    """

    def loss(
        self, model: nn.Module, x: Tensor, y: Tensor, *, sigma: float, progress: float, generator: torch.Generator
    ) -> Tensor:
        """The objective on one batch.

        Args:
            model: images (B, C, H, W) in pixel units to logits (B, classes).
            x: clean images, float, in [0, 1].
            y: labels, int64, (B,).
            sigma: standard deviation of the noise, in pixel units.
            progress: epochs done so far, fractions included (0.5 in the middle of the first epoch).
            generator: the source of all randomness, on the device of x.
        """
        ...
