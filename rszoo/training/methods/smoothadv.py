"""SmoothAdv: train at adversarial images of the smoothed classifier.

    x' = argmax_{|x' - x| <= eps} -log(1/m sum_i F(x' + delta_i)_y),
    then  1/m' sum_{i <= m'} -log F(x' + delta_i)_y

The same delta_i serve attack and update; eps grows linearly over the first epochs.

Source: Salman et al. 2019, sections 2.2, 2.3 and appendix D. The paper's update is the plug-in
loss; the authors' code, followed here, has the mean cross entropy over the noise vectors, and takes
m' = 1 or m' = m. Differs from that code in: a batch is not cut into m mini-batches with an
optimizer step each; `batch_size` says how many images a step has.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from rszoo.attacks import DDN, PGD, noisy_logits
from rszoo.recipe import Count, Natural, Positive
from rszoo.training.methods.base import Draw, nll, noise_vectors, warmed_up


@dataclass(frozen=True)
class SmoothAdv:
    """Cross entropy under noise at adversarial images of the smoothed classifier.

    Attributes:
        attack: "pgd" or "ddn".
        eps: radius of the attack, in pixel units.
        steps: T, the steps of the attack.
        m: noise vectors per image in the attack.
        m_train: m', how many of them, the first ones, serve the update.
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
                f"Expected 1 <= m_train <= m={self.m}, got {self.m_train}; "
                "the update reuses the attack's noise."
            )

    @property
    def passes(self) -> int:
        """Passes per image and step; see `Method.passes`."""
        return self.steps * self.m + self.m_train

    def loss(self, model: nn.Module, x: Tensor, y: Tensor, draw: Draw) -> Tensor:
        """1/m' sum_i -log F(x' + delta_i)_y; see `Method.loss`."""
        noise = noise_vectors(x, self.m, draw)
        eps = warmed_up(self.eps, draw.progress, self.warmup)
        attack = {"pgd": PGD, "ddn": DDN}[self.attack](eps, self.steps)
        adversarial = attack(model, x, y, noise)
        logits = noisy_logits(model, adversarial, noise[: self.m_train])
        return nll(logits.log_softmax(2), y, draw).mean(0)
