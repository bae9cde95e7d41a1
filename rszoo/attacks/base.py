"""What an attack is, what iterative attacks share, and arithmetic on perturbations."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from typing import Protocol

import torch
from torch import Tensor, nn


class Attack(Protocol):
    """A frozen dataclass of hyper-parameters, called with a model, images, labels and noise.

    A call attacks the model in evaluation mode, and leaves x and the model as they were: its mode
    and its gradients.
    """

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
        """Adversarial images.

        Args:
            model: images (B, C, H, W) in pixel units to logits (B, classes).
            x: images in [0, 1].
            y: their labels, int64 (B,).
            noise: vectors that estimate the expectation, (m, B, C, H, W) in pixel units; zeros
                (1, B, C, H, W) attack the base classifier.

        Returns:
            (B, C, H, W), without a gradient.
        """
        ...


@dataclass(frozen=True)
class Iterative:
    """The options that all attacks in steps share.

    Attributes:
        eps: radius of the ball, in pixel units; or one per image, (B, 1, 1, 1).
        steps: T.
        targeted: y are the classes to move to, not the labels to move away from.
        redraw: each step has its own noise: m vectors per step, steps * m in all.
        max_batch: images per pass through the network, or as many as x has where that is more;
            None passes all noise at once. Affects the result through rounding alone.
    """

    eps: float | Tensor
    steps: int
    _: KW_ONLY
    targeted: bool = False
    redraw: bool = False
    max_batch: int | None = None

    def __post_init__(self) -> None:
        if self.max_batch is not None and self.max_batch < 1:
            raise ValueError(
                f"Expected max_batch >= 1, got {self.max_batch}; it is the images per pass."
            )

    def vectors(self, noise: Tensor, step: int) -> Tensor:
        """The noise of a step, counted from 0: all vectors, or its share of them with `redraw`.

        Raises:
            ValueError: with `redraw`, the number of vectors is no multiple of the steps.
        """
        if not self.redraw:
            return noise
        m, rest = divmod(len(noise), self.steps)
        if rest or not m:
            raise ValueError(
                f"Expected a multiple of steps={self.steps} noise vectors, got {len(noise)}; "
                "pass steps * m of them."
            )
        return noise[step * m : (step + 1) * m]


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, its parameters without gradients; afterwards as it was."""
    modes = [(module, module.training) for module in model.modules()]
    wanted = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    model.eval().requires_grad_(False)
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, want in wanted:
            parameter.requires_grad_(want)


def input_gradient(loss: Tensor, x: Tensor) -> Tensor:
    """The gradient of the summed loss at x, scaled to l2 norm 1 per image; 0 where it vanishes."""
    (gradient,) = torch.autograd.grad(loss.sum(), x)
    return unit(gradient)


def unit(gradient: Tensor) -> Tensor:
    """Each image scaled to l2 norm 1; 0 where it vanishes."""
    return gradient / norms(gradient).clamp_min(torch.finfo(gradient.dtype).tiny)


def norms(delta: Tensor) -> Tensor:
    """The l2 norm per image, (B, 1, 1, 1)."""
    length: Tensor = torch.linalg.vector_norm(delta, dim=(1, 2, 3), keepdim=True)
    return length


def project(delta: Tensor, eps: float | Tensor) -> Tensor:
    """The nearest point to each perturbation in the l2 ball of radius eps."""
    length = norms(delta)
    shrunk = delta * (eps / length.clamp_min(torch.finfo(delta.dtype).tiny))
    return torch.where(length > eps, shrunk, delta)
