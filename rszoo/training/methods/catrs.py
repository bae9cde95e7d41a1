"""CAT-RS: train as hard as a smoothed classifier is confident.

    1/m sum_{i <= K} CE_(i)  +  lam [K = m] max_i KL(y_hat || F(x + delta*_i))

CE_(1) <= ... <= CE_(m) are the cross entropies at m noisy copies in ascending order, and K is drawn
from Bin(m, p_y), at least 1: an image with little confidence p_y in its label is trained on its
easiest copies only. Where K = m the worst noise counts too: delta*_i is delta_i after T steps of
ascent on the mean of KL(y_hat || F(x + delta_i)), within l2 distance eps of delta_i and with its
mean and root mean square. y_hat is the teacher's smoothed prediction, the shares of its votes.

Source: Jeong, Kim & Shin 2023, section 3. Differs from the authors' code in: a batch is not cut
into m mini-batches with an optimizer step each.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from rszoo.attacks import frozen, noisy_logits
from rszoo.attacks.base import norms, project
from rszoo.attacks.objective import pick
from rszoo.recipe import Count, NonNegative, Positive
from rszoo.training.methods.base import Draw, nll, noise_vectors

TINY = 1e-8


@dataclass(frozen=True)
class CatRS:
    """Cross entropy at the easiest noisy copies, and divergence at the worst noise.

    Attributes:
        m: noise vectors per image.
        lam: weight of the divergence.
        eps: how far noise is attacked, in pixel units.
        steps: T, of size 2 eps / T.
        confidence: where p_y is from: the "votes" of these m copies, or the "teacher".
    """

    learns_from: ClassVar[Literal["votes"]] = "votes"

    m: Count
    lam: NonNegative
    eps: Positive
    steps: Count
    confidence: Literal["votes", "teacher"]

    @property
    def passes(self) -> int:
        """Passes per image and step; see `Method.passes`."""
        return (self.steps + 2) * self.m

    def loss(self, model: nn.Module, x: Tensor, y: Tensor, draw: Draw) -> Tensor:
        """The two terms of each image; see `Method.loss`.

        Raises:
            ValueError: the run has no teacher.
        """
        target = draw.teacher_prediction()
        noise = noise_vectors(x, self.m, draw)
        logits = noisy_logits(model, x, noise)
        kept = self._kept(logits, target, y, draw)
        losses = nll(logits.log_softmax(2), y, draw).sort(0).values
        places = torch.arange(self.m, device=x.device).unsqueeze(1)
        easy = torch.where(places < kept, losses, 0).mean(0)
        worst = _divergence(noisy_logits(model, x, self._attacked(model, x, target, noise)), target)
        return easy + self.lam * torch.where(kept == self.m, worst.amax(0), 0)

    def _kept(self, logits: Tensor, target: Tensor, y: Tensor, draw: Draw) -> Tensor:
        """K for each image, (B,)."""
        if self.confidence == "votes":
            target = one_hot(logits.detach().argmax(2), logits.shape[2]).float().mean(0)
        share = pick(target, y).clamp(0, 1)
        return (draw.uniform(self.m, len(y)) < share).sum(0).clamp_min(1)

    def _attacked(self, model: nn.Module, x: Tensor, target: Tensor, noise: Tensor) -> Tensor:
        flat = noise.flatten(0, 1)
        mean, scale = _moments(flat)
        moved = flat
        with frozen(model), torch.enable_grad():
            for _ in range(self.steps):
                point = moved.detach().requires_grad_()
                logits = noisy_logits(model, x, point.view_as(noise))
                objective = _divergence(logits, target).mean(0).sum()
                (gradient,) = torch.autograd.grad(objective, point)
                step = gradient / (norms(gradient) + TINY)
                moved = flat + project(point + 2 * self.eps / self.steps * step - flat, self.eps)
                present, spread = _moments(moved)
                moved = mean + (moved - present) / spread * scale
        return moved.detach().view_as(noise)


def _divergence(logits: Tensor, target: Tensor) -> Tensor:
    """KL(target || softmax), (m, B)."""
    entropy = torch.xlogy(target, target).sum(1)
    return entropy - (target * logits.log_softmax(2)).sum(2)


def _moments(noise: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and root mean square of each noise vector."""
    dims = (1, 2, 3)
    return noise.mean(dims, keepdim=True), noise.square().mean(dims, keepdim=True).sqrt()
