"""Gaussian data augmentation: the objective is E[-log F(x + delta)_y], delta ~ N(0, sigma^2 I), one draw an image and step.

Source: Cohen, Rosenfeld & Kolter 2019, section 3.3.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rszoo.sampling import gaussian_noise


@dataclass(frozen=True)
class Gaussian:
    """Cross entropy at a noisy copy of each image. Differs from the authors' code in: nothing."""

    def loss(
        self, model: nn.Module, x: Tensor, y: Tensor, *, sigma: float, progress: float, generator: torch.Generator
    ) -> Tensor:
        """Mean of -log F(x + delta)_y over the batch; see `Method.loss`."""
        return F.cross_entropy(model(x + gaussian_noise(x, sigma, generator)), y)
