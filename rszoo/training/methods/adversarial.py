"""Adversarial training of the base classifier, by PGD or by PGD followed by noise: baselines.

    x' = argmax_{|x' - x| <= eps} -log F(x')_y,  then  -log F(x')_y   or   -log F(x' + delta)_y

Source: Salman et al. 2019, section 4.3 (vanilla PGD); the form with noise is method (2) of their
blog post.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rszoo.attacks import PGD
from rszoo.recipe import Count, Natural, Positive
from rszoo.training.methods.base import Draw, nll, noise_vectors, warmed_up


@dataclass(frozen=True)
class Adversarial:
    """Cross entropy at an adversarial image of the base classifier.

    Attributes:
        eps: radius of the attack, in pixel units.
        steps: T, the steps of the attack.
        noisy: whether to add noise to the adversarial image.
        warmup: epochs over which eps grows to its value.
    """

    eps: Positive
    steps: Count
    noisy: bool
    warmup: Natural

    @property
    def passes(self) -> int:
        """Passes per image and step; see `Method.passes`."""
        return self.steps + 1

    def loss(self, model: nn.Module, x: Tensor, y: Tensor, draw: Draw) -> Tensor:
        """-log F(x')_y, or -log F(x' + delta)_y; see `Method.loss`."""
        attack = PGD(warmed_up(self.eps, draw.progress, self.warmup), self.steps)
        point = attack(model, x, y, torch.zeros_like(x).unsqueeze(0))
        if self.noisy:
            point = point + noise_vectors(x, 1, draw)[0]
        return nll(model(point).log_softmax(1), y, draw)
