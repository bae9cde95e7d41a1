"""Consistency regularization:

    1/m sum_i -log F(x + delta_i)_y + lam * 1/m sum_i KL(p(x) || F(x + delta_i)) + eta * H(p(x))

with p(x) the mean softmax over the m noise vectors and H the entropy.

Source: Jeong & Shin 2020, equations 6 and 7. Differs from the authors' code in: nothing; the
gradient flows through p(x).
"""

from dataclasses import dataclass

from torch import Tensor, nn

from rszoo.attacks import log_mean_softmax, noisy_logits
from rszoo.recipe import Count, NonNegative
from rszoo.training.methods.base import Draw, nll, noise_vectors


@dataclass(frozen=True)
class Consistency:
    """Cross entropy under noise, and predictions that agree under noise.

    Attributes:
        m: noise vectors per image.
        lam: weight of the divergence.
        eta: weight of the entropy.
    """

    m: Count
    lam: NonNegative
    eta: NonNegative

    @property
    def passes(self) -> int:
        """Passes per image and step; see `Method.passes`."""
        return self.m

    def loss(self, model: nn.Module, x: Tensor, y: Tensor, draw: Draw) -> Tensor:
        """The regularized cross entropy; see `Method.loss`."""
        logits = noisy_logits(model, x, noise_vectors(x, self.m, draw))
        log_f, log_p = logits.log_softmax(2), log_mean_softmax(logits)
        p = log_p.exp()
        divergence = (p * (log_p - log_f)).sum(2).mean(0)
        cross_entropy = nll(log_f, y, draw).mean(0)
        return cross_entropy + self.lam * divergence - self.eta * (p * log_p).sum(1)
