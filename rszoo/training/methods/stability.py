"""Stability training: -log F(x)_y + lam * H(F(x), F(x + delta)), H(p, q) = -sum_c p_c log q_c.

Source: Li, Chen, Wang & Carin 2019, section 4.2, in the form of Jeong & Shin's code: the gradient flows through both arguments.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rszoo.recipe import NonNegative
from rszoo.smoothing.noise import gaussian_noise
from rszoo.training.methods.base import nll


@dataclass(frozen=True)
class Stability:
    """Cross entropy at the clean image, and of the noisy output with the clean one, weighed by lam."""

    lam: NonNegative

    @property
    def passes(self) -> int:
        """Passes through the network that an image and step need, forward and backward: see `Method.passes`."""
        return 2

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
        """-log F(x)_y + lam H(F(x), F(x + delta)); see `Method.loss`."""
        clean: Tensor = model(x).log_softmax(1)
        noisy: Tensor = model(x + gaussian_noise(x, sigma, generator)).log_softmax(1)
        return nll(clean, y, smoothing) - self.lam * (clean.exp() * noisy).sum(1)
