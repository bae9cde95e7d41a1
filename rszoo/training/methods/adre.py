"""ADRE: adaptive radius enhancing regularization, and its adversarial form.

    1/k sum_j -log F(x + delta_j)_y + lam * log p(x)_c*,
    p(x) = 1/k sum_j F(x + delta_j),   c* = argmax_{c != y} p(x)_c

The second term is -lam times the cross entropy of p(x) with its strongest wrong class: it grows the
certified radius of a right prediction and shrinks that of a wrong one. ADRE_ADV takes both terms at
x', PGD's maximum of -log p(x')_y + lam log p(x')_c* in the eps-ball, with the same draws.

Source: Feng et al. 2020, equations 5-8, 12, 13 and algorithm 1; the CIFAR-10 experiments of table 1
take the first term at a single, randomly chosen delta_j. There is no published code.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from rszoo.attacks import PGD, AdreObjective, log_mean_softmax, noisy_logits
from rszoo.attacks.objective import pick, runner_up
from rszoo.recipe import Count, Natural, NonNegative, Positive
from rszoo.training.methods.base import Draw, nll, noise_vectors, warmed_up


@dataclass(frozen=True)
class Adre:
    """ADRE_REG: cross entropy under noise, and the log-probability of the strongest wrong class.

    Attributes:
        k: noise vectors per image.
        lam: weight of the regularizer.
        draws: whether the first term takes "all" k draws or a "single" one of them.
    """

    k: Count
    lam: NonNegative
    draws: Literal["all", "single"]

    @property
    def passes(self) -> int:
        """Passes per image and step; see `Method.passes`."""
        return self.k

    def loss(self, model: nn.Module, x: Tensor, y: Tensor, draw: Draw) -> Tensor:
        """The regularized risk at x; see `Method.loss`."""
        return self._risk(noisy_logits(model, x, noise_vectors(x, self.k, draw)), y, draw)

    def _risk(self, logits: Tensor, y: Tensor, draw: Draw) -> Tensor:
        cross_entropy = nll(logits.log_softmax(2), y, draw)
        if self.draws == "single":
            cross_entropy = cross_entropy.gather(0, draw.choices(len(logits), len(y)).unsqueeze(0))
        log_p = log_mean_softmax(logits)
        return cross_entropy.mean(0) + self.lam * pick(log_p, runner_up(log_p, y))


@dataclass(frozen=True)
class AdreAdv(Adre):
    """ADRE_ADV: the loss of ADRE_REG at an adversarial image of it.

    Attributes:
        eps: radius of the attack, in pixel units.
        steps: M, the steps of the attack, of size 2 eps / M.
        warmup: epochs over which eps grows to its value.
    """

    eps: Positive
    steps: Count
    warmup: Natural

    @property
    def passes(self) -> int:
        """Passes per image and step; see `Method.passes`."""
        return (self.steps + 1) * self.k

    def loss(self, model: nn.Module, x: Tensor, y: Tensor, draw: Draw) -> Tensor:
        """The regularized risk at x'; see `Method.loss`."""
        noise = noise_vectors(x, self.k, draw)
        eps = warmed_up(self.eps, draw.progress, self.warmup)
        adversarial = PGD(eps, self.steps, AdreObjective(self.lam))(model, x, y, noise)
        return self._risk(noisy_logits(model, adversarial, noise), y, draw)
