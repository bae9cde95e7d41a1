"""What a training method is: hyper-parameters and a loss."""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rszoo.attacks.objective import pick
from rszoo.smoothing.noise import gaussian_noise


@dataclass(frozen=True)
class Share:
    """The images of each batch that one of several processes has: one of `of` equal parts."""

    number: int = 0
    of: int = 1

    def part(self, whole: Tensor, dim: int = 0) -> Tensor:
        """This part of what there is for the whole batch along a dimension; a view."""
        if self.of == 1:
            return whole
        return whole.chunk(self.of, dim)[self.number]


WHOLE = Share()


@dataclass(frozen=True)
class Draw:
    """What a loss depends on besides the model, the images and the labels.

    Attributes:
        sigma: standard deviation of the noise, in pixel units.
        progress: epochs done so far, with fractions: 0.5 in the middle of the first epoch.
        generator: the source of all randomness, on the device of the images.
        smoothing: label smoothing, in [0, 1), of the terms that compare a distribution with the
            label.
        teacher: the network of the run's teacher, frozen in evaluation mode, if there is one.
        prediction: the teacher's smoothed prediction per image, the shares of its votes,
            (B, classes), if the recipe wants it.
        share: which images of the batch these are. Random numbers are drawn for the whole batch, so
            that they do not depend on the number of processes.
    """

    sigma: float
    progress: float
    generator: torch.Generator
    smoothing: float = 0.0
    teacher: nn.Module | None = None
    prediction: Tensor | None = None
    share: Share = WHOLE

    def uniform(self, *size: int) -> Tensor:
        """Numbers in [0, 1), on the device; the images are along the last dimension."""
        *before, images = size
        whole = (*before, images * self.share.of)
        device = self.generator.device
        return self.share.part(torch.rand(whole, generator=self.generator, device=device), -1)

    def choices(self, high: int, images: int) -> Tensor:
        """An index below `high` for each image, int64, on the device."""
        whole, device = (images * self.share.of,), self.generator.device
        return self.share.part(torch.randint(high, whole, generator=self.generator, device=device))

    def teacher_network(self) -> nn.Module:
        """The network of the teacher.

        Raises:
            ValueError: there is none.
        """
        if self.teacher is None:
            raise ValueError("Expected a Draw with a teacher, got none; pass teacher=network.")
        return self.teacher

    def teacher_prediction(self) -> Tensor:
        """The teacher's smoothed prediction per image.

        Raises:
            ValueError: there is none.
        """
        if self.prediction is None:
            raise ValueError(
                "Expected a Draw with the teacher's smoothed prediction, got none; "
                "pass prediction=shares."
            )
        return self.prediction


class Method(Protocol):
    """A frozen dataclass of hyper-parameters, named as in the paper, and its loss.

    The loss is differentiable in the parameters of `model`. It draws all its noise from the
    generator of `draw`, leaves x and the model's mode alone, and knows nothing of optimizers, data
    or devices.
    """

    @property
    def passes(self) -> int:
        """Forward and backward passes per image and step, those of attacks included."""
        ...

    def loss(self, model: nn.Module, x: Tensor, y: Tensor, draw: Draw) -> Tensor:
        """The objective per image, (B,).

        Args:
            model: images (B, C, H, W) in pixel units to logits (B, classes).
            x: clean images, float, in [0, 1].
            y: labels, int64, (B,).
            draw: noise level, progress of the run, randomness and label smoothing.
        """
        ...


@runtime_checkable
class Taught(Protocol):
    """A method that learns from a teacher, and what it asks of it."""

    @property
    def learns_from(self) -> Literal["network", "votes"]:
        """The teacher's "network", in each step, or its "votes" on each image, once."""
        ...


@runtime_checkable
class Weighing(Protocol):
    """A method that decides how often each image is drawn, by votes at the start of epochs."""

    def measures(self, epoch: int) -> int:
        """How many votes per image it wants before that epoch, counted from 0; 0 for none."""
        ...

    def weights(
        self, epoch: int, right: NDArray[np.int64], before: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The weight with which each image is drawn from that epoch on.

        Args:
            epoch: one that begins with a measurement.
            right: votes for the label among `measures(epoch)`, per image.
            before: the weights so far, 1 at first.
        """
        ...


def nll(log_p: Tensor, y: Tensor, draw: Draw) -> Tensor:
    """Cross entropy of log-probabilities (..., B, classes) with smoothed labels (B,): (..., B)."""
    return -(1 - draw.smoothing) * pick(log_p, y) - draw.smoothing * log_p.mean(-1)


def noise_vectors(x: Tensor, m: int, draw: Draw) -> Tensor:
    """m noise vectors per image, (m, B, C, H, W), in the memory order of x."""
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    order = torch.channels_last if channels_last else torch.contiguous_format
    whole = len(x) * draw.share.of
    shape = (m * whole, *x.shape[1:])
    blank = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=order)
    noise = gaussian_noise(blank, draw.sigma, draw.generator).view(m, whole, *x.shape[1:])
    part = draw.share.part(noise, 1).flatten(0, 1)
    return part.contiguous(memory_format=order).view(m, *x.shape)


def warmed_up(value: float, progress: float, epochs: int) -> float:
    """`value`, reached in equal steps over the first `epochs` epochs, one at the start of each.

    Source: the code of Salman et al. 2019.
    """
    return value if epochs == 0 else value * min(1.0, (int(progress) + 1) / epochs)
