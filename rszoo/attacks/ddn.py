"""DDN: the direction of a perturbation follows the gradient, its norm shrinks while the image is adversarial, else grows.

    norm_k = norm_{k-1} (1 - gamma) if x_{k-1} is adversarial, else norm_{k-1} (1 + gamma)

Source: Rony et al. 2019, algorithm 1; on smoothed classifiers Salman et al. 2019, section 2.2 and appendix D.
"""

import math
from dataclasses import KW_ONLY, dataclass

import torch
from torch import Tensor, nn

from rszoo.attacks.base import frozen, norms, project, unit
from rszoo.attacks.gradient import check_max_batch, draws, objective_gradient
from rszoo.attacks.objective import log_mean_softmax, smoothadv

LAST_RATE = 0.01


@dataclass(frozen=True)
class DDN:
    """The smallest adversarial perturbation found, cut to norm `eps`; none where none was found.

    Attributes:
        eps: largest norm of what is returned, in pixel units; or one an image, (B, 1, 1, 1).
        steps: T.
        gamma: the factor by which the norm changes.
        init_norm: the first norm, in pixel units.
        levels: values of a pixel that a perturbed image may have, equally spaced in [0, 1].
        targeted: whether y are classes to move to, and an image is adversarial that has class y.
        redraw, max_batch: as in `Ascent`; with redraw, an image is adversarial by the noise of its step.

    It always starts at x and stays in the pixel box, which its levels are made for.
    """

    eps: float | Tensor
    steps: int
    gamma: float = 0.05
    init_norm: float = 1.0
    levels: int = 256
    _: KW_ONLY
    targeted: bool = False
    redraw: bool = False
    max_batch: int | None = None

    def __post_init__(self) -> None:
        check_max_batch(self.max_batch)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
        """Adversarial images in [0, 1] within l2 distance eps of x; see `Attack`.

        Differs from the authors' code in: adversarial is judged by the mean softmax rather than by the mode of the votes, and
        the result is not rounded to the levels again after the cut to eps, so that the ball is exact.
        """
        delta, best = torch.zeros_like(x), torch.zeros_like(x)
        shortest = limit = norms(torch.maximum(x, 1 - x))
        norm = torch.full_like(limit, self.init_norm)
        with frozen(model), torch.no_grad():
            for step in range(1, self.steps + 1):
                vectors = draws(noise, step - 1, steps=self.steps, redraw=self.redraw)
                adversarial, direction = self._look(model, x + delta, y, vectors)
                better = adversarial & (norms(delta) < shortest)
                shortest, best = (
                    torch.where(better, norms(delta), shortest),
                    torch.where(better, delta, best),
                )
                rate = LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * step / self.steps)) / 2
                norm = torch.minimum(
                    norm * torch.where(adversarial, 1 - self.gamma, 1 + self.gamma), limit
                )
                delta = self._on_grid(x, delta + rate * direction, norm)
        return (x + project(best, self.eps)).detach()

    def _look(self, model: nn.Module, x: Tensor, y: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Whether each image is adversarial, (B, 1, 1, 1), and the direction to go from it."""
        logits, gradient = objective_gradient(
            model, x, y, noise, objective=smoothadv, max_batch=self.max_batch
        )
        adversarial = (log_mean_softmax(logits).argmax(1) == y) == self.targeted
        return adversarial.view(-1, 1, 1, 1), unit(-gradient if self.targeted else gradient)

    def _on_grid(self, x: Tensor, delta: Tensor, norm: Tensor) -> Tensor:
        """The perturbation at that norm, then with its image on the levels in [0, 1]."""
        scaled = delta * (norm / norms(delta).clamp_min(torch.finfo(delta.dtype).tiny))
        return ((x + scaled) * (self.levels - 1)).round().div(self.levels - 1).clamp(0, 1) - x
