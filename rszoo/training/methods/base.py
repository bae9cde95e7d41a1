"""What a training method is: hyper-parameters and a loss."""

from typing import Protocol

import torch
from torch import Tensor, nn

from rszoo.attacks.objective import pick
from rszoo.smoothing.noise import gaussian_noise


class Method(Protocol):
    """A frozen dataclass of hyper-parameters with the paper's symbols, and its loss.

    The loss is differentiable in the parameters of `model`. It draws all its noise from `generator`, leaves x and the mode of
    the model alone, and knows nothing of optimizers, data or devices.
    """

    @property
    def passes(self) -> int:
        """Passes through the network that an image and step need, forward and backward; those of attacks count alike."""
        ...

    def loss(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        *,
        sigma: float,
        progress: float,
        generator: torch.Generator,
        smoothing: float = 0.0,
    ) -> Tensor:
        """The objective, one value an image: (B,).

        Args:
            model: images (B, C, H, W) in pixel units to logits (B, classes).
            x: clean images, float, in [0, 1].
            y: labels, int64, (B,).
            sigma: standard deviation of the noise, in pixel units.
            progress: epochs done so far, fractions included (0.5 in the middle of the first epoch).
            generator: the source of all randomness, on the device of x.
            smoothing: label smoothing of the terms that compare a distribution with the label, in [0, 1).
        """
        ...


def nll(log_p: Tensor, y: Tensor, smoothing: float) -> Tensor:
    """Cross entropy of log-probabilities (..., B, classes) with labels (B,), smoothed: (..., B)."""
    return -(1 - smoothing) * pick(log_p, y) - smoothing * log_p.mean(-1)


def noise_vectors(x: Tensor, m: int, sigma: float, generator: torch.Generator) -> Tensor:
    """m noise vectors an image, (m, B, C, H, W), in the memory order of x."""
    order = (
        torch.channels_last
        if x.is_contiguous(memory_format=torch.channels_last)
        else torch.contiguous_format
    )
    shape = (m * len(x), *x.shape[1:])
    blank = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=order)
    return gaussian_noise(blank, sigma, generator).view(m, *x.shape)


def warmed_up(value: float, progress: float, epochs: int) -> float:
    """`value`, reached in equal steps at the beginning of each of the first `epochs` epochs, as in Salman et al.'s code."""
    return value if epochs == 0 else value * min(1.0, (int(progress) + 1) / epochs)
