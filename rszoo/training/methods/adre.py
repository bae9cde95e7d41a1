"""ADRE: adaptive radius enhancing regularization, and its adversarial form.

    1/k sum_j -log F(x + delta_j)_y + lam * log p(x)_c*,   p(x) = 1/k sum_j F(x + delta_j),   c* = argmax_{c != y} p(x)_c

The second term is -lam times the cross entropy of p(x) with its strongest wrong class: it grows with the certified radius of
a right prediction and shrinks that of a wrong one. ADRE_ADV takes both terms at x', PGD's maximum of
-log p(x')_y + lam log p(x')_c* in the eps-ball, with the same draws.

Source: Feng et al. 2020, equations 5-8, 12, 13 and algorithm 1; the CIFAR-10 experiments of table 1 take the first term at a
single, randomly chosen delta_j. There is no published code.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from rszoo.attacks import PGD, AdreObjective, log_mean_softmax, noisy_logits
from rszoo.attacks.objective import pick, runner_up
from rszoo.recipe import Count, Natural, NonNegative, Positive
from rszoo.training.methods.base import nll, noise_vectors, warmed_up

Draws = Literal["all", "single"]


@dataclass(frozen=True)
class Adre:
    """ADRE_REG.

    Attributes:
        k: noise vectors.
        lam: weight of the regularizer.
        draws: whether the first term is the mean over "all" k draws or taken at a "single" one of them.
    """

    k: Count
    lam: NonNegative
    draws: Draws

    @property
    def passes(self) -> int:
        """Passes through the network that an image and step need, forward and backward: see `Method.passes`."""
        return self.k

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
        """The regularized risk of each image; see `Method.loss`."""
        noise = noise_vectors(x, self.k, sigma, generator)
        return _risk(
            noisy_logits(model, x, noise),
            y,
            lam=self.lam,
            draws=self.draws,
            generator=generator,
            smoothing=smoothing,
        )


@dataclass(frozen=True)
class AdreAdv:
    """ADRE_ADV.

    Attributes:
        k, lam, draws: as in `Adre`.
        eps: radius of the attack, in pixel units.
        steps: M, of size 2 eps / M.
        warmup: epochs over which eps grows to its value.
    """

    k: Count
    lam: NonNegative
    draws: Draws
    eps: Positive
    steps: Count
    warmup: Natural

    @property
    def passes(self) -> int:
        """Passes through the network that an image and step need, forward and backward: see `Method.passes`."""
        return (self.steps + 1) * self.k

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
        """The regularized risk of each adversarial image; see `Method.loss`."""
        noise = noise_vectors(x, self.k, sigma, generator)
        attack = PGD(
            warmed_up(self.eps, progress, self.warmup), self.steps, AdreObjective(self.lam)
        )
        adversarial = attack(model, x, y, noise)
        return _risk(
            noisy_logits(model, adversarial, noise),
            y,
            lam=self.lam,
            draws=self.draws,
            generator=generator,
            smoothing=smoothing,
        )


def _risk(
    logits: Tensor,
    y: Tensor,
    *,
    lam: float,
    draws: Draws,
    generator: torch.Generator,
    smoothing: float,
) -> Tensor:
    each = nll(logits.log_softmax(2), y, smoothing)
    if draws == "single":
        chosen = torch.randint(len(logits), (1, len(y)), generator=generator, device=y.device)
        first = each.gather(0, chosen).squeeze(0)
    else:
        first = each.mean(0)
    log_p = log_mean_softmax(logits)
    return first + lam * pick(log_p, runner_up(log_p, y))
