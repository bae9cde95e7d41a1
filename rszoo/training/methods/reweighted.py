"""Training for the average certified radius: drop the hopeless images, repeat those nearly there.

    1/m sum_i -log F(x + delta*_i)_y

Until epoch `start` this is Gaussian augmentation with m noise vectors. Then images whose label gets
less than `threshold` of the votes are left out for good, and every `every` epochs the rest are
weighted by z(CPL(k, n, 0.1)), about the radius that k of n votes certify, with shares below 3/4
counted as 3/4. delta*_i is attacked noise: up to T steps of length `eps` along the gradient of the
cross entropy, each followed by a return to the norm of delta_i; the first noise that is
misclassified is kept, delta_i itself included.

Source: Sun, Mao, Mueller & Vechev 2025, section 5. Differs from the authors' code in: a batch is
not cut into m mini-batches with an optimizer step each; the votes that leave images out make the
first weights too.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import special
from torch import Tensor, nn

from rszoo.attacks import frozen, noisy_logits
from rszoo.attacks.base import norms
from rszoo.attacks.objective import pick
from rszoo.bounds import clopper_pearson_lower
from rszoo.recipe import Count, Fraction, Natural, Positive
from rszoo.training.methods.base import Draw, nll, noise_vectors

LEAST_SHARE, LEVEL = 0.75, 0.1
"""Shares of votes below the first count as it; the level of the bound."""
TINY = 1e-8


@dataclass(frozen=True)
class Reweighted:
    """Cross entropy at attacked noise, on images drawn by what they add to the certified radius.

    Attributes:
        m: noise vectors per image.
        eps: length of a step of the attack on noise, in pixel units.
        steps: T; 0 attacks nothing.
        start: epochs of Gaussian augmentation before.
        threshold: share of votes below which an image is left out.
        every: epochs between two measurements of the weights.
        votes: noisy copies per image of a measurement.
        first_votes: those of the first, which leaves images out.
    """

    m: Count
    eps: Positive
    steps: Natural
    start: Natural
    threshold: Fraction
    every: Count
    votes: Count
    first_votes: Count

    def __post_init__(self) -> None:
        if not _radius(0, self.votes) > 0:
            raise ValueError(
                f"Expected votes enough that {LEAST_SHARE:g} of them certify a radius, got "
                f"{self.votes}; use 16."
            )

    @property
    def passes(self) -> int:
        """Passes per image and step after `start`; see `Method.passes`."""
        return (self.steps + 1) * self.m

    def loss(self, model: nn.Module, x: Tensor, y: Tensor, draw: Draw) -> Tensor:
        """The mean cross entropy at attacked noise; see `Method.loss`."""
        noise = noise_vectors(x, self.m, draw)
        if draw.progress >= self.start and self.steps:
            noise = self._attacked(model, x, y, noise)
        return nll(noisy_logits(model, x, noise).log_softmax(2), y, draw).mean(0)

    def measures(self, epoch: int) -> int:
        """How many votes per image are wanted before that epoch; 0 for none."""
        if epoch < self.start or (epoch - self.start) % self.every:
            return 0
        return self.first_votes if epoch == self.start else self.votes

    def weights(
        self, epoch: int, right: NDArray[np.int64], before: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """About the certified radius, in units of sigma; 0 for images left out for good."""
        measured = self.measures(epoch)
        kept = right >= self.threshold * measured if epoch == self.start else before > 0
        scaled = (
            right * self.votes // measured
        )  # the first radii are of as many votes as later ones
        return np.where(kept, _radius(scaled, self.votes), 0.0)

    def _attacked(self, model: nn.Module, x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
        length = norms(noise.flatten(0, 1))
        moved = kept = noise.flatten(0, 1)
        done = torch.zeros(len(moved), 1, 1, 1, dtype=torch.bool, device=x.device)
        with frozen(model), torch.enable_grad():
            for _ in range(self.steps):
                point = moved.detach().requires_grad_()
                logits = noisy_logits(model, x, point.view_as(noise))
                wrong = (logits.argmax(2) != y).view(-1, 1, 1, 1)
                kept = torch.where(wrong & ~done, point.detach(), kept)
                done = done | wrong
                objective = -pick(logits.log_softmax(2), y).sum() / self.m
                (gradient,) = torch.autograd.grad(objective, point)
                moved = point + self.eps * gradient / (norms(gradient) + TINY)
                moved = moved / (norms(moved) + TINY) * length
        return torch.where(done, kept, moved).detach().view_as(noise)


def _radius(k: ArrayLike, n: int) -> NDArray[np.float64]:
    """The radius that k of n votes certify, in units of sigma; that of 3/4 of them for fewer."""
    clipped = np.maximum(np.asarray(k), int(LEAST_SHARE * n))
    radius: NDArray[np.float64] = special.ndtri(clopper_pearson_lower(clipped, n, LEVEL))
    return radius
