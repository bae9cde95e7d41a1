"""Training of the smoothed classifier itself: -log(1/m sum_i F(x + delta_i)_y).

It is the plug-in estimate of -log G(x)_y.

Source: lecture notes on randomized smoothing, section 3, attempt 2; Salman et al. 2019,
section 2.3.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from rszoo.attacks import log_mean_softmax, noisy_logits
from rszoo.recipe import Count
from rszoo.training.methods.base import Draw, nll, noise_vectors


@dataclass(frozen=True)
class Smoothed:
    """Cross entropy of the mean softmax under noise.

    Attributes:
        m: noise vectors per image.
    """

    m: Count

    @property
    def passes(self) -> int:
        """Passes per image and step; see `Method.passes`."""
        return self.m

    def loss(self, model: nn.Module, x: Tensor, y: Tensor, draw: Draw) -> Tensor:
        """-log p(x)_y; see `Method.loss`."""
        logits = noisy_logits(model, x, noise_vectors(x, self.m, draw))
        return nll(log_mean_softmax(logits), y, draw)
