"""Gaussian data augmentation: E[-log F(x + delta)_y], delta ~ N(0, sigma^2 I), one draw an image and step.

Source: Cohen, Rosenfeld & Kolter 2019, section 3.3. Differs from the authors' code in: nothing.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rszoo.smoothing.noise import gaussian_noise
from rszoo.training.methods.base import nll


@dataclass(frozen=True)
class Gaussian:
    """Cross entropy at a noisy copy of each image."""

    @property
    def passes(self) -> int:
        """Passes through the network that an image and step need, forward and backward: see `Method.passes`."""
        return 1

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
        """-log F(x + delta)_y; see `Method.loss`."""
        return nll(model(x + gaussian_noise(x, sigma, generator)).log_softmax(1), y, smoothing)
