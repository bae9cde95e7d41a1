"""Distillation: match the softmax of a smoothed teacher under the same noise.

    1/m sum_i || F(x + delta_i) - T(x + delta_i) ||_2

T is the softmax of the teacher's network. No labels and no attacks are needed, so a small network
learns what an expensive method taught a large one at the price of Gaussian training plus the
teacher's forward passes.

Source: Vaishnavi, Eykholt & Rahmati 2022 (Compact robust training), section 3. There is no official
setting of m; theirs is 1.
"""

from dataclasses import dataclass

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
            target = noisy_logits(draw.teacher_network(), x, noise).float().softmax(2)
        difference = noisy_logits(model, x, noise).float().softmax(2) - target
        return torch.linalg.vector_norm(difference + torch.finfo(torch.float32).tiny, dim=2).mean(0)
