"""Stein's lemma: the gradient of a smoothed classifier from outputs of the base classifier alone.

    grad G(x)_y = grad E[F(x + delta)_y] = E[delta F(x + delta)_y] / sigma^2,
    delta ~ N(0, sigma^2 I)

It holds for hard votes too, where F is the one-hot vector of the argmax. With delta_1 ... delta_m
independent,

    g = 1/sigma^2 * 1/(m - 1) sum_i delta_i (F_i - mean_j F_j)
      = 1/sigma^2 * 1/m sum_i delta_i (F_i - mean_{j != i} F_j)

is unbiased: the mean over the others is independent of delta_i, whose mean is 0. The baseline only
lowers the variance.

Source: Stein 1981; Salman et al. 2019, section 3.1, equation 7 and appendix C.6, who find the
attack weak because of the estimate's variance. Theirs has no baseline:
1/sigma^2 * 1/m sum_i delta_i F_i.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from rszoo.attacks.ascent import Ascent
from rszoo.attacks.base import unit
from rszoo.attacks.gradient import logits_under
from rszoo.attacks.objective import pick


@dataclass(frozen=True)
class Stein(Ascent):
    """Lower p(x)_y within l2 distance `eps` of x by Stein's estimate; raise it if `targeted`.

    Needs no gradients. The noise must be two or more independent Gaussian vectors. Their sigma is
    no attribute: it scales the estimate, and only the direction is used.

    Attributes:
        eps, steps, targeted, random_start, box, redraw, best, max_batch: as in `Ascent`.
        hard: p(x) is the share of votes, not the mean softmax.
    """

    hard: bool = False

    def look(self, model: nn.Module, x: Tensor, y: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Logits under noise, and the direction of the estimate; see `Ascent`.

        Raises:
            ValueError: fewer than two noise vectors.
        """
        logits = logits_under(model, x, noise, max_batch=self.max_batch)
        estimate = unit(stein_gradient(self._outputs(logits, y), noise, sigma=1.0))
        return logits, estimate if self.targeted else -estimate

    def score(self, logits: Tensor, y: Tensor) -> Tensor:
        """The estimate of p(x)_y, or of -p(x)_y if targeted; see `Ascent`."""
        p = self._outputs(logits, y).mean(0)
        return -p if self.targeted else p

    def _outputs(self, logits: Tensor, y: Tensor) -> Tensor:
        if self.hard:
            return pick(one_hot(logits.argmax(2), logits.shape[2]).to(logits.dtype), y)
        return pick(logits.softmax(2), y)


def stein_gradient(outputs: Tensor, noise: Tensor, *, sigma: float) -> Tensor:
    """An unbiased estimate of the gradient of E[F(x + delta)] at x, (B, C, H, W).

    Args:
        outputs: F(x + delta_i) for each of m vectors and B images, (m, B).
        noise: delta_i, independent N(0, sigma^2 I), (m, B, C, H, W).
        sigma: their standard deviation, in pixel units.

    Raises:
        ValueError: fewer than two noise vectors.
    """
    if len(noise) < 2:
        raise ValueError(
            f"Expected two noise vectors or more, got {len(noise)}; "
            "the baseline of each is the mean of the others."
        )
    centred = outputs - outputs.mean(0)
    return torch.einsum("mb,mbchw->bchw", centred, noise) / ((len(noise) - 1) * sigma**2)
