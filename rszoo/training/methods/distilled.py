"""Distillation: match the softmax of a smoothed teacher under the same noise.

    1/m sum_i || F(x + delta_i) - T(x + delta_i) ||_2

T is the softmax of the teacher's network. No labels and no attacks are needed, so a small network
learns what an expensive method taught a large one at the price of Gaussian training plus the
teacher's forward passes.

Source: Vaishnavi, Eykholt & Rahmati 2022 (certified robustness transfer), section 3, where m = 1.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from rszoo.attacks import noisy_logits
from rszoo.recipe import Count
from rszoo.training.methods.base import Draw, noise_vectors


@dataclass(frozen=True)
class Distilled:
    """l2 distance between the softmax of the network and that of a teacher, at noisy copies.

    Attributes:
        m: noise vectors per image.
    """

    learns_from: ClassVar[Literal["network"]] = "network"

    m: Count

    @property
    def passes(self) -> int:
        """Passes per image and step, the teacher's not counted; see `Method.passes`."""
        return self.m

    def loss(self, model: nn.Module, x: Tensor, y: Tensor, draw: Draw) -> Tensor:
        """The mean distance; see `Method.loss`.

        Raises:
            ValueError: the run has no teacher.
        """
        noise = noise_vectors(x, self.m, draw)
        with torch.no_grad():
            target = noisy_logits(draw.teacher_network(), x, noise).softmax(2)
        difference = noisy_logits(model, x, noise).softmax(2) - target
        distance: Tensor = torch.linalg.vector_norm(difference, dim=2)
        return distance.mean(0)
