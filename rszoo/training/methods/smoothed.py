"""Training the smoothed classifier itself: -log(1/m sum_i F(x + delta_i)_y), the plug-in estimate of -log G(x)_y.

Source: lecture notes on randomized smoothing, section 3, attempt 2; Salman et al. 2019, section 2.3.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rszoo.attacks import log_mean_softmax, noisy_logits
from rszoo.recipe import Count
from rszoo.training.methods.base import nll, noise_vectors


@dataclass(frozen=True)
class Smoothed:
    """Cross entropy of the mean softmax over m noise vectors."""

    m: Count

    @property
    def passes(self) -> int:
        """Passes through the network that an image and step need, forward and backward: see `Method.passes`."""
        return self.m

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
        """-log p(x)_y; see `Method.loss`."""
        logits = noisy_logits(model, x, noise_vectors(x, self.m, sigma, generator))
        return nll(log_mean_softmax(logits), y, smoothing)
