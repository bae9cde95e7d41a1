"""Logits and gradients under many noise vectors, in passes of bounded size."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from rszoo.attacks.objective import Objective, naive, noisy_logits, smoothadv

Shares = Callable[[Tensor, Tensor], Tensor]

SHARES: dict[Objective, Shares] = {
    smoothadv: lambda values, sizes: (sizes.log() - values).softmax(0),
    naive: lambda values, sizes: (sizes / sizes.sum()).expand_as(values),
}
"""The weight of each part of the noise in the gradient over all of it, (parts, B): a function of
the objective's values per part, (parts, B), and of the vectors per part, (parts, 1). The mean
softmax of smoothadv is p = sum_c n_c p_c / m, so that
grad(-log p) = sum_c (n_c p_c / m p) grad(-log p_c), where -log p_c is the value of part c."""


def parts(noise: Tensor, max_batch: int | None) -> Sequence[Tensor]:
    """The noise (m, B, C, H, W), cut so that a pass has at most max_batch images, or B if more."""
    if max_batch is None:
        return (noise,)
    return torch.split(noise, max(1, max_batch // noise.shape[1]))


def logits_under(model: nn.Module, x: Tensor, noise: Tensor, *, max_batch: int | None) -> Tensor:
    """`noisy_logits` in parts and without a graph: (m, B, classes)."""
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
    """Logits under noise, (m, B, classes), and the gradient of the objective at x, (B, C, H, W).

    Takes one pass per part; max_batch affects the gradient through rounding alone. With several
    parts the objective must be in `SHARES`.
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
