"""Consistency regularization:

    1/m sum_i -log F(x + delta_i)_y + lam * 1/m sum_i KL(p(x) || F(x + delta_i)) + eta * H(p(x))

with p(x) the mean softmax over the m noise vectors and H the entropy.

Source: Jeong & Shin 2020, equations 6 and 7. Differs from the authors' code in: nothing; the gradient flows through p(x).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rszoo.attacks import log_mean_softmax, noisy_logits
from rszoo.recipe import Count, NonNegative
from rszoo.training.methods.base import nll, noise_vectors


@dataclass(frozen=True)
class Consistency:
    """Cross entropy under noise, and predictions that agree under noise.

    Attributes:
        m: noise vectors.
        lam: weight of the divergence.
        eta: weight of the entropy.
    """

    m: Count
    lam: NonNegative
    eta: NonNegative

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
        """The regularized cross entropy of each image; see `Method.loss`."""
        logits = noisy_logits(model, x, noise_vectors(x, self.m, sigma, generator))
        log_f, log_p = logits.log_softmax(2), log_mean_softmax(logits)
        p = log_p.exp()
        divergence = (p * (log_p - log_f)).sum(2).mean(0)
        return (
            nll(log_f, y, smoothing).mean(0) + self.lam * divergence - self.eta * (p * log_p).sum(1)
        )
