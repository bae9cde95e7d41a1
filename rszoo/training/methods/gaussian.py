"""Gaussian data augmentation: E[-log F(x + delta)_y], delta ~ N(0, sigma^2 I).

One draw per image and step.

Source: Cohen, Rosenfeld & Kolter 2019, section 3.3. Differs from the authors' code in: nothing.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from rszoo.training.methods.base import Draw, nll, noise_vectors


@dataclass(frozen=True)
class Gaussian:
    """Cross entropy at a noisy copy of each image."""

    @property
    def passes(self) -> int:
        """Passes per image and step; see `Method.passes`."""
        return 1

    def loss(self, model: nn.Module, x: Tensor, y: Tensor, draw: Draw) -> Tensor:
        """-log F(x + delta)_y; see `Method.loss`."""
        noisy = x + noise_vectors(x, 1, draw)[0]
        return nll(model(noisy).log_softmax(1), y, draw)
