"""SmoothAdv: train at adversarial images of the smoothed classifier.

    x' = argmax_{|x' - x| <= eps} -log(1/m sum_i F(x' + delta_i)_y),  then  1/m' sum_{i <= m'} -log F(x' + delta_i)_y

The same delta_i serve attack and update; eps grows linearly over the first epochs.

Source: Salman et al. 2019, sections 2.2, 2.3 and appendix D. The paper's update is the plug-in loss; the authors' code,
followed here, has the mean cross entropy over the noise vectors, and takes m' = 1 or m' = m. Differs from that code in: a
batch is not cut into m mini-batches with an optimizer step each; `batch_size` says how many images a step has.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from rszoo.attacks import DDN, PGD, noisy_logits
from rszoo.recipe import Count, Natural, Positive
from rszoo.training.methods.base import nll, noise_vectors, warmed_up


@dataclass(frozen=True)
class SmoothAdv:
    """Cross entropy under noise at adversarial images of the smoothed classifier.

    Attributes:
        attack: "pgd" or "ddn".
        eps: radius of the attack, in pixel units.
        steps: T.
        m: noise vectors of the attack.
        m_train: m', the first of them that serve the update.
        warmup: epochs over which eps grows to its value.
    """

    attack: Literal["pgd", "ddn"]
    eps: Positive
    steps: Count
    m: Count
    m_train: Count
    warmup: Natural

    def __post_init__(self) -> None:
        if not 1 <= self.m_train <= self.m:
            raise ValueError(
                f"Expected 1 <= m_train <= m={self.m}, got {self.m_train}; the update reuses the attack's noise."
            )

    @property
    def passes(self) -> int:
        """Passes through the network that an image and step need, forward and backward: see `Method.passes`."""
        return self.steps * self.m + self.m_train

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
        """1/m' sum_i -log F(x' + delta_i)_y; see `Method.loss`."""
        noise = noise_vectors(x, self.m, sigma, generator)
        attack = {"pgd": PGD, "ddn": DDN}[self.attack](
            warmed_up(self.eps, progress, self.warmup), self.steps
        )
        adversarial = attack(model, x, y, noise)
        return nll(
            noisy_logits(model, adversarial, noise[: self.m_train]).log_softmax(2), y, smoothing
        ).mean(0)
