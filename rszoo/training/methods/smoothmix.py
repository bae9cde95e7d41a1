"""SmoothMix: mix an image with an adversarial one, and its smoothed prediction with no confidence.

    1/m sum_i -log F(x + delta_i)_y
        + eta * [argmax p(x) = y] * 1/m sum_i KL(q || F(x_mix + delta_i)),
    x_mix = (1 - u) x + u x',   q = (1 - u) p(x) + u / C,   u ~ U(0, 1/2)

x' is the end of `steps` ascent steps of length alpha on -log p(x)_y inside the pixel box, in no
ball; with mix_step = 1, x is replaced by the point after the first step, within alpha of it. eta
and that distance grow over the first epochs.

Source: Jeong et al. 2021, section 3. Differs from the authors' code in: nothing; the gradient flows
through q.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from rszoo.attacks import frozen, log_mean_softmax, noisy_logits, smoothadv
from rszoo.attacks.base import input_gradient, project
from rszoo.recipe import Count, Natural, NonNegative, Positive
from rszoo.training.methods.base import Draw, nll, noise_vectors, warmed_up


@dataclass(frozen=True)
class SmoothMix:
    """Cross entropy under noise, and a loss of confidence on the way to an adversarial image.

    Attributes:
        m: noise vectors per image.
        steps: T, the steps of the ascent.
        alpha: length of a step, in pixel units.
        eta: weight of the mixed term.
        mix_step: 0 to mix from x, 1 from the point after one step.
        warmup: epochs over which eta grows to its value.
    """

    m: Count
    steps: Count
    alpha: Positive
    eta: NonNegative
    mix_step: Literal[0, 1]
    warmup: Natural

    @property
    def passes(self) -> int:
        """Passes per image and step; see `Method.passes`."""
        return (self.steps + 2) * self.m

    def loss(self, model: nn.Module, x: Tensor, y: Tensor, draw: Draw) -> Tensor:
        """The cross entropy and the mixed term; see `Method.loss`."""
        noise = noise_vectors(x, self.m, draw)
        start, end = self._path(model, x, y, noise, draw.progress)
        clean = noisy_logits(model, start, noise)
        p = log_mean_softmax(clean).exp()
        u = draw.uniform(len(x)) / 2
        weight = u.view(-1, 1, 1, 1)
        mixed = noisy_logits(model, (1 - weight) * start + weight * end, noise).log_softmax(2)
        q = (1 - u).unsqueeze(1) * p + u.unsqueeze(1) / p.shape[1]
        divergence = (q * (q.clamp_min(torch.finfo(q.dtype).tiny).log() - mixed)).sum(2).mean(0)
        eta = warmed_up(self.eta, draw.progress, self.warmup)
        cross_entropy = nll(clean.log_softmax(2), y, draw).mean(0)
        return cross_entropy + eta * torch.where(p.argmax(1) == y, divergence, 0)

    def _path(
        self, model: nn.Module, x: Tensor, y: Tensor, noise: Tensor, progress: float
    ) -> tuple[Tensor, Tensor]:
        """Where the mixing starts and where it ends."""
        points = [x]
        with frozen(model), torch.enable_grad():
            for _ in range(self.steps):
                point = points[-1].detach().requires_grad_()
                direction = input_gradient(smoothadv(noisy_logits(model, point, noise), y), point)
                points.append((point + self.alpha * direction).clamp(0, 1).detach())
        reach = warmed_up(self.alpha, progress, self.warmup)
        start = x + project(points[1] - x, reach) if self.mix_step else x
        return start, points[-1]
