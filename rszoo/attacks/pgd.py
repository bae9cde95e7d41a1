"""Projected gradient ascent in an l2 ball: x <- P(x + 2 eps / T * g / |g|), T times.

g is the gradient of the objective.

Source: Salman et al. 2019, section 2.2 and appendix D, with the plug-in gradient of equation 6;
with the objective `naive` and `redraw`, the attack of Cohen et al. 2019, appendix J.3, except for
its step size.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from rszoo.attacks.ascent import Ascent
from rszoo.attacks.base import unit
from rszoo.attacks.gradient import SHARES, objective_gradient
from rszoo.attacks.objective import Objective, smoothadv


@dataclass(frozen=True)
class PGD(Ascent):
    """Raise an objective within l2 distance `eps` of x; lower it if `targeted`.

    By default inside the pixel box, from x, with the same noise at each step, to the last iterate.

    Attributes:
        eps, steps, targeted, random_start, box, redraw, best, max_batch: as in `Ascent`.
        objective: what is raised; `smoothadv` or `naive` with max_batch.

    Differs from the authors' code in: a vanishing gradient moves nothing; theirs moves at random.
    """

    objective: Objective = smoothadv

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_batch is not None and self.objective not in SHARES:
            raise ValueError(
                f"Expected objective smoothadv or naive with max_batch, got {self.objective}; "
                "leave max_batch out."
            )

    def look(self, model: nn.Module, x: Tensor, y: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Logits under noise, and the direction of the gradient; see `Ascent`."""
        logits, gradient = objective_gradient(
            model, x, y, noise, objective=self.objective, max_batch=self.max_batch
        )
        return logits, unit(-gradient if self.targeted else gradient)
