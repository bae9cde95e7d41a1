"""What a training method is: hyper-parameters and a loss."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from rszoo.attacks.objective import pick
from rszoo.smoothing.noise import gaussian_noise


@dataclass(frozen=True)
class Draw:
    """What a loss depends on besides the model, the images and the labels.

    Attributes:
        sigma: standard deviation of the noise, in pixel units.
        progress: epochs done so far, with fractions: 0.5 in the middle of the first epoch.
        generator: the source of all randomness, on the device of the images.
        smoothing: label smoothing, in [0, 1), of the terms that compare a distribution with the
            label.
    """

    sigma: float
    progress: float
    generator: torch.Generator
    smoothing: float = 0.0


class Method(Protocol):
    """A frozen dataclass of hyper-parameters, named as in the paper, and its loss.

    The loss is differentiable in the parameters of `model`. It draws all its noise from the
    generator of `draw`, leaves x and the model's mode alone, and knows nothing of optimizers, data
    or devices.
    """

    @property
    def passes(self) -> int:
        """Forward and backward passes per image and step, those of attacks included."""
        ...

    def loss(self, model: nn.Module, x: Tensor, y: Tensor, draw: Draw) -> Tensor:
        """The objective per image, (B,).

        Args:
            model: images (B, C, H, W) in pixel units to logits (B, classes).
            x: clean images, float, in [0, 1].
            y: labels, int64, (B,).
            draw: noise level, progress of the run, randomness and label smoothing.
        """
        ...


def nll(log_p: Tensor, y: Tensor, draw: Draw) -> Tensor:
    """Cross entropy of log-probabilities (..., B, classes) with smoothed labels (B,): (..., B)."""
    return -(1 - draw.smoothing) * pick(log_p, y) - draw.smoothing * log_p.mean(-1)


def noise_vectors(x: Tensor, m: int, draw: Draw) -> Tensor:
    """m noise vectors per image, (m, B, C, H, W), in the memory order of x."""
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    order = torch.channels_last if channels_last else torch.contiguous_format
    shape = (m * len(x), *x.shape[1:])
    blank = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=order)
    return gaussian_noise(blank, draw.sigma, draw.generator).view(m, *x.shape)


def warmed_up(value: float, progress: float, epochs: int) -> float:
    """`value`, reached in equal steps over the first `epochs` epochs, one at the start of each.

    Source: the code of Salman et al. 2019.
    """
    return value if epochs == 0 else value * min(1.0, (int(progress) + 1) / epochs)
