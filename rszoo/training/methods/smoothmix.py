"""SmoothMix: mix an image with an unrestricted adversarial one, and its smoothed prediction with no confidence at all.

    1/m sum_i -log F(x + delta_i)_y + eta * [argmax p(x) = y] * 1/m sum_i KL(q || F(x_mix + delta_i))
    x_mix = (1 - u) x + u x',   q = (1 - u) p(x) + u / C,   u ~ U(0, 1/2)

x' is the end of `steps` ascent steps of length alpha on -log p(x)_y inside the pixel box; with mix_step = 1, x is replaced
by the point after the first step, within alpha of it. eta and that distance grow over the first epochs.

Source: Jeong et al. 2021, section 3. Differs from the authors' code in: nothing; the gradient flows through q.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from rszoo.attacks import frozen, log_mean_softmax, noisy_logits, smoothadv
from rszoo.attacks.base import input_gradient, project
from rszoo.recipe import Count, Natural, NonNegative, Positive
from rszoo.training.methods.base import nll, noise_vectors, warmed_up


@dataclass(frozen=True)
class SmoothMix:
    """Cross entropy under noise, and a loss of confidence on the way to an adversarial image.

    Attributes:
        m: noise vectors.
        steps: T.
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
        """Passes through the network that an image and step need, forward and backward: see `Method.passes`."""
        return (self.steps + 2) * self.m

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
        """The cross entropy and the mixed term of each image; see `Method.loss`."""
        noise = noise_vectors(x, self.m, sigma, generator)
        start, end = self._path(
            model, x, y, noise, warmed_up(self.alpha * self.mix_step, progress, self.warmup)
        )
        clean = noisy_logits(model, start, noise)
        p = log_mean_softmax(clean).exp()
        u = torch.rand(len(x), generator=generator, device=x.device) / 2
        weight = u.view(-1, 1, 1, 1)
        mixed = noisy_logits(model, (1 - weight) * start + weight * end, noise).log_softmax(2)
        q = (1 - u).unsqueeze(1) * p + u.unsqueeze(1) / p.shape[1]
        divergence = (q * (q.clamp_min(torch.finfo(q.dtype).tiny).log() - mixed)).sum(2).mean(0)
        right = p.argmax(1) == y
        eta = warmed_up(self.eta, progress, self.warmup)
        return nll(clean.log_softmax(2), y, smoothing).mean(0) + eta * torch.where(
            right, divergence, 0
        )

    def _path(
        self, model: nn.Module, x: Tensor, y: Tensor, noise: Tensor, reach: float
    ) -> tuple[Tensor, Tensor]:
        """Where the mixing starts and where it ends."""
        points = [x]
        with frozen(model), torch.enable_grad():
            for _ in range(self.steps):
                point = points[-1].detach().requires_grad_()
                direction = input_gradient(smoothadv(noisy_logits(model, point, noise), y), point)
                points.append((point + self.alpha * direction).clamp(0, 1).detach())
        start = x + project(points[self.mix_step] - x, reach) if self.mix_step else x
        return start, points[-1]
