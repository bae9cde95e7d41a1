"""Normalized projected ascent in an l2 ball: x <- P(x + 2 eps / T * d), d a direction of norm 1, T times.

What gives the direction is the attack: `PGD` the gradient of an objective, `Stein` an estimate from outputs alone.

Source: Salman et al. 2019, section 2.2 and appendix D (the step size); Cohen et al. 2019, appendix J.3 (noise drawn anew at
every step, the projection on the ball).
"""

import math
from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass

import torch
from torch import Tensor, nn

from rszoo.attacks.base import frozen, norms, project
from rszoo.attacks.gradient import check_max_batch, draws, logits_under
from rszoo.attacks.objective import log_mean_softmax, pick
from rszoo.smoothing.noise import gaussian_noise, image_key, step_generator


@dataclass(frozen=True)
class Ascent(ABC):
    """An attack that stays within l2 distance `eps` of x.

    Attributes:
        eps: radius of the ball, in pixel units; or one an image, (B, 1, 1, 1).
        steps: T; the step size is 2 eps / T.
        targeted: whether y are classes to move to, rather than labels to move away from.
        random_start: seed of a start drawn uniformly from the ball, a function of the seed and the image; None starts at x.
        box: whether the images stay in [0, 1].
        redraw: whether every step has its own noise: m vectors a step, in all steps * m.
        best: whether the iterate with the best `score` is returned, start and end among them, rather than the last; the end
            costs a forward pass more. With `redraw` an iterate is scored on the noise of its step, the end on the last.
        max_batch: images in a pass through the network, or as many as x has where that is more; None passes all of the
            noise at once. The result depends on it through rounding alone.
    """

    eps: float | Tensor
    steps: int
    _: KW_ONLY
    targeted: bool = False
    random_start: int | None = None
    box: bool = True
    redraw: bool = False
    best: bool = False
    max_batch: int | None = None

    def __post_init__(self) -> None:
        check_max_batch(self.max_batch)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
        """Adversarial images within l2 distance eps of x; see `Attack`."""
        return self.search(model, x, y, noise)[0]

    def search(
        self, model: nn.Module, x: Tensor, y: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What a call returns, and its scores (B,) where `best`; else they are infinite.

        Raises:
            ValueError: with `redraw`, the noise vectors are not a multiple of the steps.
        """
        delta = kept = self._start(x)
        lowest = torch.full(x.shape[:1], torch.inf, dtype=x.dtype, device=x.device)
        with frozen(model), torch.no_grad():
            for step in range(self.steps):
                vectors = draws(noise, step, steps=self.steps, redraw=self.redraw)
                logits, direction = self.look(model, x + delta, y, vectors)
                if self.best:
                    kept, lowest = keep(kept, lowest, delta, self.score(logits, y))
                delta = self._within(x, delta + 2 * self.eps / self.steps * direction)
            if not self.best:
                return x + delta, lowest
            vectors = draws(noise, self.steps - 1, steps=self.steps, redraw=self.redraw)
            logits = logits_under(model, x + delta, vectors, max_batch=self.max_batch)
            kept, lowest = keep(kept, lowest, delta, self.score(logits, y))
            return x + kept, lowest

    @abstractmethod
    def look(self, model: nn.Module, x: Tensor, y: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Logits under noise, (m, B, classes), and the direction to go from x, of norm 1 or 0 for each image."""

    def score(self, logits: Tensor, y: Tensor) -> Tensor:
        """What the best iterate has least of, (B,): log p(x)_y of the soft smoothed classifier; -log p(x)_y if targeted."""
        log_p = pick(log_mean_softmax(logits), y)
        return -log_p if self.targeted else log_p

    def _start(self, x: Tensor) -> Tensor:
        if self.random_start is None:
            return torch.zeros_like(x)
        drawn = [_in_unit_ball(image, self.random_start) for image in x.detach()]
        return self._within(x.detach(), self.eps * torch.stack(drawn))

    def _within(self, x: Tensor, delta: Tensor) -> Tensor:
        return project((x + delta).clamp(0, 1) - x if self.box else delta, self.eps)


def keep(kept: Tensor, lowest: Tensor, found: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
    """For each image the one of two, images or perturbations, with the lower score, the first of equals; and that score."""
    return torch.where((score < lowest).view(-1, 1, 1, 1), found, kept), torch.minimum(
        score, lowest
    )


def _in_unit_ball(image: Tensor, seed: int) -> Tensor:
    """A point drawn uniformly from the l2 ball of radius 1, of the shape of the image; its content selects the draw."""
    generator = step_generator(seed, f"start/{image_key(image)}", 0, image.device)
    drawn = gaussian_noise(image, 1.0, generator).unsqueeze(0)
    length = float(torch.rand((), generator=generator, device=image.device)) ** (
        1 / math.prod(image.shape)
    )
    start: Tensor = length * drawn / norms(drawn)
    return start[0]
