"""The baselines of adversarial training on the base classifier: PGD, and PGD followed by noise.

    x' = argmax_{|x' - x| <= eps} -log F(x')_y,  then  -log F(x')_y   or   -log F(x' + delta)_y

Source: Salman et al. 2019, section 4.3 (vanilla PGD); the second is method (2) of their blog post.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rszoo.attacks import PGD
from rszoo.recipe import Count, Natural, Positive
from rszoo.smoothing.noise import gaussian_noise
from rszoo.training.methods.base import nll, warmed_up


@dataclass(frozen=True)
class Adversarial:
    """Cross entropy at an adversarial image of the base classifier.

    Attributes:
        eps: radius of the attack, in pixel units.
        steps: T.
        noisy: whether noise is added to the adversarial image.
        warmup: epochs over which eps grows to its value.
    """

    eps: Positive
    steps: Count
    noisy: bool
    warmup: Natural

    @property
    def passes(self) -> int:
        """Passes through the network that an image and step need, forward and backward: see `Method.passes`."""
        return self.steps + 1

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
        """-log F(x')_y, or -log F(x' + delta)_y; see `Method.loss`."""
        attack = PGD(warmed_up(self.eps, progress, self.warmup), self.steps)
        adversarial = attack(model, x, y, torch.zeros_like(x).unsqueeze(0))
        noise = gaussian_noise(x, sigma, generator) if self.noisy else torch.zeros_like(x)
        return nll(model(adversarial + noise).log_softmax(1), y, smoothing)
