"""MACER: maximize the certified radius, without attacks.

    -log p(x)_y + lam * sigma/2 * [gamma - xi(x)]_+ [argmax p^beta(x) = y],   xi = z(p^beta_1) - z(p^beta_2)

with p(x) the mean softmax over m noise vectors, p^beta that of beta times the logits, p^beta_1 and p^beta_2 its two largest
entries and z the normal quantile.

Source: Zhai et al. 2020, section 4. Differs from the authors' code in: probabilities are kept 1e-6 away from 0 and 1 before z,
instead of leaving out images whose z is infinite (their hinge is flat there: |xi| > gamma = 8).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rszoo.attacks import log_mean_softmax, noisy_logits
from rszoo.recipe import Count, Natural, NonNegative, Positive
from rszoo.training.methods.base import nll, noise_vectors

MARGIN = 1e-6


@dataclass(frozen=True)
class Macer:
    """Cross entropy of the smoothed classifier and a hinge on its soft certified radius.

    Attributes:
        m: noise vectors.
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
        """-log p(x)_y + lam sigma/2 [gamma - xi]_+ on the images that are right; see `Method.loss`."""
        logits = noisy_logits(model, x, noise_vectors(x, self.m, sigma, generator)).float()
        loss = nll(log_mean_softmax(logits), y, smoothing)
        if progress < self.deferred:
            return loss
        (first, second), (label, _) = (
            part.unbind(1) for part in (self.beta * logits).softmax(2).mean(0).topk(2, dim=1)
        )
        quantiles = [torch.special.ndtri(p.clamp(MARGIN, 1 - MARGIN)) for p in (first, second)]
        hinge = (self.gamma - (quantiles[0] - quantiles[1])).clamp_min(0)
        return loss + self.lam * sigma / 2 * torch.where(label == y, hinge, 0)
