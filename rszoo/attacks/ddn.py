"""DDN: the perturbation follows the gradient; its norm shrinks while x is adversarial, else grows.

    norm_k = norm_{k-1} (1 - gamma) if x_{k-1} is adversarial, else norm_{k-1} (1 + gamma)

Source: Rony et al. 2019, algorithm 1; on smoothed classifiers Salman et al. 2019, section 2.2 and
appendix D.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rszoo.attacks.base import Iterative, frozen, norms, project, unit
from rszoo.attacks.gradient import objective_gradient
from rszoo.attacks.objective import log_mean_softmax, smoothadv

LAST_RATE = 0.01


@dataclass(frozen=True)
class DDN(Iterative):
    """The smallest adversarial perturbation seen, cut to norm `eps`; 0 where there was none.

    Starts at x and stays in the pixel box, for which its levels are made.

    Attributes:
        eps, steps, max_batch: as in `Iterative`.
        gamma: factor by which the norm changes.
        init_norm: the first norm, in pixel units.
        levels: pixel values that a perturbed image may have, equally spaced in [0, 1].
        targeted: y are the classes to move to; an image is adversarial if it has class y.
        redraw: as in `Iterative`; an image is adversarial by the noise of its step.
    """

    gamma: float = 0.05
    init_norm: float = 1.0
    levels: int = 256

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
        """Adversarial images in [0, 1] within l2 distance eps of x; see `Attack`.

        Differs from the authors' code in: the mean softmax, not the mode of the votes, decides
        what is adversarial; and the result is not rounded to the levels again after the cut to
        eps, so that the ball is exact.
        """
        delta, best = torch.zeros_like(x), torch.zeros_like(x)
        shortest = limit = norms(torch.maximum(x, 1 - x))
        norm = torch.full_like(limit, self.init_norm)
        with frozen(model), torch.no_grad():
            for step in range(1, self.steps + 1):
                vectors = self.vectors(noise, step - 1)
                adversarial, direction = self._look(model, x + delta, y, vectors)
                length = norms(delta)
                better = adversarial & (length < shortest)
                shortest = torch.where(better, length, shortest)
                best = torch.where(better, delta, best)
                rate = LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * step / self.steps)) / 2
                factor = torch.where(adversarial, 1 - self.gamma, 1 + self.gamma)
                norm = torch.minimum(norm * factor, limit)
                delta = self._on_grid(x, delta + rate * direction, norm)
        return (x + project(best, self.eps)).detach()

    def _look(self, model: nn.Module, x: Tensor, y: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Which images are adversarial, (B, 1, 1, 1), and the direction to go from each."""
        logits, gradient = objective_gradient(
            model, x, y, noise, objective=smoothadv, max_batch=self.max_batch
        )
        adversarial = (log_mean_softmax(logits).argmax(1) == y) == self.targeted
        return adversarial.view(-1, 1, 1, 1), unit(-gradient if self.targeted else gradient)

    def _on_grid(self, x: Tensor, delta: Tensor, norm: Tensor) -> Tensor:
        """The perturbation scaled to the norm, its image then rounded to the levels in [0, 1]."""
        scaled = delta * (norm / norms(delta).clamp_min(torch.finfo(delta.dtype).tiny))
        return ((x + scaled) * (self.levels - 1)).round().div(self.levels - 1).clamp(0, 1) - x
