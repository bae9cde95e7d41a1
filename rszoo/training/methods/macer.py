"""MACER: maximize the certified radius, without attacks.

    -log p(x)_y + lam * sigma/2 * [gamma - xi(x)]_+ [argmax p^beta(x) = y],
    xi = z(p^beta_1) - z(p^beta_2)

with p(x) the mean softmax over m noise vectors, p^beta that of beta times the logits, p^beta_1 and
p^beta_2 its two largest entries and z the normal quantile.

Source: Zhai et al. 2020, section 4. Differs from the authors' code in: probabilities are kept 1e-6
away from 0 and 1 before z, instead of leaving out images whose z is infinite (their hinge is flat
there: |xi| > gamma = 8).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rszoo.attacks import log_mean_softmax, noisy_logits
from rszoo.recipe import Count, Natural, NonNegative, Positive
from rszoo.training.methods.base import Draw, nll, noise_vectors

MARGIN = 1e-6


@dataclass(frozen=True)
class Macer:
    """Cross entropy of the smoothed classifier, and a hinge on its soft certified radius.

    Attributes:
        m: noise vectors per image.
        lam: weight of the hinge.
        gamma: where the hinge ends, in units of sigma / 2.
        beta: inverse temperature of the hinge's softmax.
        deferred: epochs of training before the hinge counts.
    """

    m: Count
    lam: NonNegative
    gamma: Positive
    beta: Positive
    deferred: Natural

    @property
    def passes(self) -> int:
        """Passes per image and step; see `Method.passes`."""
        return self.m

    def loss(self, model: nn.Module, x: Tensor, y: Tensor, draw: Draw) -> Tensor:
        """-log p(x)_y, plus lam sigma/2 [gamma - xi]_+ where the class is right.

        See `Method.loss`.
        """
        logits = noisy_logits(model, x, noise_vectors(x, self.m, draw)).float()
        loss = nll(log_mean_softmax(logits), y, draw)
        if draw.progress < self.deferred:
            return loss
        top, labels = (self.beta * logits).softmax(2).mean(0).topk(2, dim=1)
        first, second = torch.special.ndtri(top.clamp(MARGIN, 1 - MARGIN)).unbind(1)
        hinge = (self.gamma - (first - second)).clamp_min(0)
        return loss + self.lam * draw.sigma / 2 * torch.where(labels[:, 0] == y, hinge, 0)
