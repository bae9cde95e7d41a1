"""What an attack is: hyper-parameters, and a map from images to adversarial images."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn


class Attack(Protocol):
    """A frozen dataclass of hyper-parameters that is called with a model, images, labels and noise.

    It leaves x, the model's mode and its gradients alone, and attacks it in evaluation mode.
    """

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
        """Adversarial images.

        Args:
            model: images (B, C, H, W) in pixel units to logits (B, classes).
            x: images in [0, 1].
            y: their labels, int64 (B,).
            noise: the vectors that estimate the expectation, (m, B, C, H, W) in pixel units; zeros (1, B, C, H, W) attack the
                base classifier.

        Returns:
            (B, C, H, W), no gradient attached.
        """
        ...


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode and without gradients for its parameters, then as it was."""
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
    """The gradient of the sum of `loss` at x, scaled to l2 norm 1 for each image; zero where it vanishes."""
    (gradient,) = torch.autograd.grad(loss.sum(), x)
    return unit(gradient)


def unit(gradient: Tensor) -> Tensor:
    """Each image scaled to l2 norm 1; zero where it vanishes."""
    return gradient / norms(gradient).clamp_min(torch.finfo(gradient.dtype).tiny)


def norms(delta: Tensor) -> Tensor:
    """The l2 norm of each image, (B, 1, 1, 1)."""
    length: Tensor = torch.linalg.vector_norm(delta, dim=(1, 2, 3), keepdim=True)
    return length


def project(delta: Tensor, eps: float | Tensor) -> Tensor:
    """The nearest point to each perturbation in the l2 ball of radius eps."""
    length = norms(delta)
    return torch.where(
        length > eps, delta * (eps / length.clamp_min(torch.finfo(delta.dtype).tiny)), delta
    )
