"""Logits under many noise vectors and the gradient of an objective in them, in passes of bounded size."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from rszoo.attacks.objective import Objective, naive, noisy_logits, smoothadv

Shares = Callable[[Tensor, Tensor], Tensor]

SHARES: dict[Objective, Shares] = {
    smoothadv: lambda values, sizes: (sizes.log() - values).softmax(0),
    naive: lambda values, sizes: (sizes / sizes.sum()).expand_as(values),
}
"""What each part of the noise weighs, (parts, B), in the gradient over all of it: (values of the parts (parts, B), numbers of
vectors (parts, 1)) to weights. The mean softmax of smoothadv is p = sum_c n_c p_c / m, so that
grad(-log p) = sum_c (n_c p_c / m p) grad(-log p_c) with -log p_c the value of part c."""


def parts(noise: Tensor, max_batch: int | None) -> Sequence[Tensor]:
    """The noise (m, B, C, H, W), cut so that a pass has at most max_batch images, or B where B is more."""
    return (
        (noise,) if max_batch is None else torch.split(noise, max(1, max_batch // noise.shape[1]))
    )


def draws(noise: Tensor, step: int, *, steps: int, redraw: bool) -> Tensor:
    """The noise vectors of a step: all of them, or with `redraw` that one of `steps` equal groups.

    Raises:
        ValueError: the vectors cannot be dealt out evenly.
    """
    if not redraw:
        return noise
    m, rest = divmod(len(noise), steps)
    if rest or not m:
        raise ValueError(
            f"Expected a multiple of steps={steps} noise vectors, got {len(noise)}; pass steps * m of them."
        )
    return noise[step * m : (step + 1) * m]


def logits_under(model: nn.Module, x: Tensor, noise: Tensor, *, max_batch: int | None) -> Tensor:
    """`noisy_logits` in parts, without a graph: (m, B, classes)."""
    with torch.no_grad():
        return torch.cat([noisy_logits(model, x, part) for part in parts(noise, max_batch)])


def objective_gradient(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    noise: Tensor,
    *,
    objective: Objective,
    max_batch: int | None,
) -> tuple[Tensor, Tensor]:
    """The logits under noise, (m, B, classes), and the gradient of the objective at x, (B, C, H, W), one pass a part.

    Up to rounding the gradient does not depend on max_batch; where there are several parts, the objective is in `SHARES`.
    """
    logits, values, gradients = [], [], []
    for part in parts(noise, max_batch):
        with torch.enable_grad():
            point = x.detach().requires_grad_()
            scores = noisy_logits(model, point, part)
            value = objective(scores, y)
            gradients.append(torch.autograd.grad(value.sum(), point)[0])
        logits.append(scores.detach())
        values.append(value.detach())
    if len(gradients) == 1:
        return logits[0], gradients[0]
    sizes = torch.tensor([[len(part)] for part in logits], dtype=x.dtype, device=x.device)
    shares = SHARES[objective](torch.stack(values), sizes)
    return torch.cat(logits), torch.einsum("pb,pbchw->bchw", shares, torch.stack(gradients))


def check_max_batch(max_batch: int | None) -> None:
    """Nothing, where a pass can have that many images.

    Raises:
        ValueError: max_batch is less than 1.
    """
    if max_batch is not None and max_batch < 1:
        raise ValueError(
            f"Expected max_batch >= 1, got {max_batch}; it is the number of images in a pass."
        )
