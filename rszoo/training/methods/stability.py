"""Stability training: -log F(x)_y + lam * H(F(x), F(x + delta)), H(p, q) = -sum_c p_c log q_c.

Source: Li, Chen, Wang & Carin 2019, section 4.2, in the form of Jeong & Shin's code: the gradient
flows through both arguments.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from rszoo.recipe import NonNegative
from rszoo.training.methods.base import Draw, nll, noise_vectors


@dataclass(frozen=True)
class Stability:
    """Cross entropy at the clean image, and of the noisy output with the clean one.

    Attributes:
        lam: weight of the second term.
    """

    lam: NonNegative

    @property
    def passes(self) -> int:
        """Passes per image and step; see `Method.passes`."""
        return 2

    def loss(self, model: nn.Module, x: Tensor, y: Tensor, draw: Draw) -> Tensor:
        """-log F(x)_y + lam H(F(x), F(x + delta)); see `Method.loss`."""
        clean: Tensor = model(x).log_softmax(1)
        noisy: Tensor = model(x + noise_vectors(x, 1, draw)[0]).log_softmax(1)
        return nll(clean, y, draw) - self.lam * (clean.exp() * noisy).sum(1)
