"""Normalized projected ascent in an l2 ball: x <- P(x + 2 eps / T * d), T times, d of norm 1.

The attack is what gives the direction d: `PGD` the gradient of an objective, `Stein` an estimate
from outputs alone.

Source: Salman et al. 2019, section 2.2 and appendix D (the step size); Cohen et al. 2019,
appendix J.3 (noise drawn anew at each step, the projection on the ball).
"""

import math
from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass

import torch
from torch import Tensor, nn

from rszoo.attacks.base import Iterative, frozen, norms, project
from rszoo.attacks.gradient import logits_under
from rszoo.attacks.objective import log_mean_softmax, pick
from rszoo.smoothing.noise import gaussian_noise, image_key, step_generator


@dataclass(frozen=True)
class Ascent(Iterative, ABC):
    """An attack that stays within l2 distance `eps` of x.

    Attributes:
        eps, steps, targeted, redraw, max_batch: as in `Iterative`; the step size is 2 eps / T.
        random_start: seed of a start drawn uniformly from the ball, a function of the seed and the
            image; None starts at x.
        box: keep the images in [0, 1].
        best: return the iterate with the lowest `score`, start and end included, rather than the
            last; the end takes one more forward pass. With `redraw`, each iterate is scored on the
            noise of its step, and the end on that of the last.
    """

    _: KW_ONLY
    random_start: int | None = None
    box: bool = True
    best: bool = False

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
        """Adversarial images within l2 distance eps of x; see `Attack`."""
        return self.search(model, x, y, noise)[0]

    def search(
        self, model: nn.Module, x: Tensor, y: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What a call returns, and its scores (B,) with `best`; without, they are infinite.

        Raises:
            ValueError: with `redraw`, the number of noise vectors is no multiple of the steps.
        """
        delta = kept = self._start(x)
        lowest = torch.full(x.shape[:1], torch.inf, dtype=x.dtype, device=x.device)
        with frozen(model), torch.no_grad():
            for step in range(self.steps):
                logits, direction = self.look(model, x + delta, y, self.vectors(noise, step))
                if self.best:
                    kept, lowest = keep(kept, lowest, delta, self.score(logits, y))
                delta = self._within(x, delta + 2 * self.eps / self.steps * direction)
            if not self.best:
                return x + delta, lowest
            vectors = self.vectors(noise, self.steps - 1)
            logits = logits_under(model, x + delta, vectors, max_batch=self.max_batch)
            kept, lowest = keep(kept, lowest, delta, self.score(logits, y))
            return x + kept, lowest

    @abstractmethod
    def look(self, model: nn.Module, x: Tensor, y: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Logits under noise, (m, B, classes), and the direction to go: norm 1 or 0 per image."""

    def score(self, logits: Tensor, y: Tensor) -> Tensor:
        """log p(x)_y of the soft smoothed classifier, (B,), or -log p(x)_y if targeted."""
        log_p = pick(log_mean_softmax(logits), y)
        return -log_p if self.targeted else log_p

    def _start(self, x: Tensor) -> Tensor:
        if self.random_start is None:
            return torch.zeros_like(x)
        points = [_in_unit_ball(image, self.random_start) for image in x.detach()]
        return self._within(x.detach(), self.eps * torch.stack(points))

    def _within(self, x: Tensor, delta: Tensor) -> Tensor:
        return project((x + delta).clamp(0, 1) - x if self.box else delta, self.eps)


def keep(kept: Tensor, lowest: Tensor, other: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
    """Per image, `other` where its score is below the lowest so far, else `kept`; and the score."""
    chosen = torch.where((score < lowest).view(-1, 1, 1, 1), other, kept)
    return chosen, torch.minimum(score, lowest)


def _in_unit_ball(image: Tensor, seed: int) -> Tensor:
    """A point drawn uniformly from the unit l2 ball, shaped like the image that keys the draw."""
    generator = step_generator(seed, f"start/{image_key(image)}", 0, image.device)
    direction = gaussian_noise(image, 1.0, generator).unsqueeze(0)
    uniform = float(torch.rand((), generator=generator, device=image.device))
    length = uniform ** (1 / math.prod(image.shape))
    start: Tensor = length * direction / norms(direction)
    return start[0]
