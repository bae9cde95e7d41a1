"""Objectives of attacks and training: functions of logits under noise (m, B, classes) and labels.

With F the softmax, delta_1 ... delta_m the noise vectors and p(x) = 1/m sum_i F(x + delta_i) the
plug-in estimate of the soft smoothed classifier G(x):

    smoothadv: -log p(x)_y                        Salman et al. 2019, equation 6
    naive:     1/m sum_i -log F(x + delta_i)_y    Cohen et al. 2019, appendix J.3
    ADRE:      -log p(x)_y + lam log p(x)_c*      Feng et al. 2020, equation 12
               where c* = argmax_{c != y} p(x)_c
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Objective = Callable[[Tensor, Tensor], Tensor]
"""Logits (m, B, classes) and labels (B,) to the values (B,) that an attack raises."""


def noisy_logits(model: nn.Module, x: Tensor, noise: Tensor) -> Tensor:
    """Logits at x + delta_i: (m, B, classes), in one forward pass."""
    logits: Tensor = model((x + noise).flatten(0, 1))
    return logits.view(*noise.shape[:2], -1)


def log_mean_softmax(logits: Tensor) -> Tensor:
    """log p(x), (B, classes): the log of the softmax averaged over noise, without underflow."""
    return torch.logsumexp(logits.log_softmax(2), dim=0) - math.log(len(logits))


def pick(values: Tensor, y: Tensor) -> Tensor:
    """values[..., b, y_b]: the value of the label, per image."""
    return values.gather(-1, y.expand(values.shape[:-1]).unsqueeze(-1)).squeeze(-1)


def runner_up(log_p: Tensor, y: Tensor) -> Tensor:
    """c* = argmax_{c != y} p_c, (B,)."""
    return log_p.detach().scatter(1, y.unsqueeze(1), -torch.inf).argmax(1)


def smoothadv(logits: Tensor, y: Tensor) -> Tensor:
    """-log p(x)_y: the cross entropy of the soft smoothed classifier."""
    return -pick(log_mean_softmax(logits), y)


def naive(logits: Tensor, y: Tensor) -> Tensor:
    """The mean cross entropy of the base classifier under noise."""
    return -pick(logits.log_softmax(2), y).mean(0)


@dataclass(frozen=True)
class AdreObjective:
    """-log p(x)_y + lam log p(x)_c*: low confidence in the label or high in its strongest rival."""

    lam: float

    def __call__(self, logits: Tensor, y: Tensor) -> Tensor:
        """The objective of Feng et al. 2020, equation 12."""
        log_p = log_mean_softmax(logits)
        return self.lam * pick(log_p, runner_up(log_p, y)) - pick(log_p, y)
