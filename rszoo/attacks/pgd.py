"""Projected gradient ascent in an l2 ball: x <- P(x + 2 eps / T * g / |g|), g the gradient of the objective, T times.

Source: Salman et al. 2019, section 2.2 and appendix D, with the plug-in gradient of equation 6.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rszoo.attacks.base import frozen, input_gradient, project
from rszoo.attacks.objective import Objective, noisy_logits, smoothadv


@dataclass(frozen=True)
class PGD:
    """Raise an objective within l2 distance `eps` of x and inside the pixel box.

    Attributes:
        eps: radius of the ball, in pixel units.
        steps: T; the step size is 2 eps / T.
        objective: what is raised; the noise of every step is the same.
    """

    eps: float
    steps: int
    objective: Objective = smoothadv

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
        """Adversarial images in [0, 1] within l2 distance eps of x; see `Attack`.

        Differs from the authors' code in: a gradient that vanishes moves nothing; theirs moves at random.
        """
        delta = torch.zeros_like(x)
        with frozen(model), torch.enable_grad():
            for _ in range(self.steps):
                point = (x + delta).detach().requires_grad_()
                direction = input_gradient(self.objective(noisy_logits(model, point, noise), y), point)
                moved = delta + 2 * self.eps / self.steps * direction
                delta = project((x + moved).clamp(0, 1) - x, self.eps)
        return (x + delta).detach()
