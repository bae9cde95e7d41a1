"""Optimizers, schedules and weight averaging of a recipe, by torch's own classes."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from rszoo.recipe import SGD, AdamW, Cosine, Muon, OneCycle, Training


def build_optimizers(network: nn.Module, training: Training) -> tuple[Optimizer, ...]:
    """The recipe's optimizer at the schedule's highest rate; for Muon, that and one for the rest.

    Raises:
        ValueError: this torch has no Muon, or the network has too few layers for it.
    """
    options, rate = training.optimizer, training.schedule.rate
    if not isinstance(options, Muon):
        return (_whole(list(network.parameters()), options, rate),)
    weights = _inner_weights(network)
    inner = {id(weight) for weight in weights}
    rest = [parameter for parameter in network.parameters() if id(parameter) not in inner]
    return _muon(weights, options, rate), _whole(rest, options.rest, options.rest_rate)


def _whole(parameters: Sequence[nn.Parameter], options: SGD | AdamW, rate: float) -> Optimizer:
    if isinstance(options, SGD):
        return torch.optim.SGD(
            parameters,
            lr=rate,
            momentum=options.momentum,
            nesterov=options.nesterov,
            weight_decay=options.weight_decay,
            fused=True,
        )
    return torch.optim.AdamW(
        parameters,
        lr=rate,
        betas=(options.beta1, options.beta2),
        eps=options.eps,
        weight_decay=options.weight_decay,
        fused=True,
    )


def _inner_weights(network: nn.Module) -> list[Tensor]:
    """The weights of all convolutions and linear layers but the first and the last."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    if len(layers) < 3:
        raise ValueError(
            f"Expected a network of at least 3 layers for name = 'muon' in [training.optimizer], "
            f"got {len(layers)}; use sgd or adamw."
        )
    return [layer.weight for layer in layers[1:-1]]


def _muon(weights: Sequence[Tensor], options: Muon, rate: float) -> Optimizer:
    """torch's Muon on copies of the weights as matrices, (outputs, inputs * height * width).

    The copies follow the weights before each step, and the weights the copies after it.
    """
    if not hasattr(torch.optim, "Muon"):
        raise ValueError(
            "Expected torch 2.9 or newer for name = 'muon' in [training.optimizer], "
            f"got {torch.__version__}; upgrade torch, or use sgd or adamw."
        )
    matrices = [nn.Parameter(weight.detach().flatten(1).clone()) for weight in weights]
    optimizer = torch.optim.Muon(
        matrices,
        lr=rate,
        momentum=options.momentum,
        nesterov=options.nesterov,
        weight_decay=options.weight_decay,
        adjust_lr_fn=options.scaling,
    )

    def read(*_: Any) -> None:
        for weight, matrix in zip(weights, matrices, strict=True):
            matrix.data.copy_(weight.detach().flatten(1))
            matrix.grad = None if weight.grad is None else weight.grad.flatten(1)

    def write(*_: Any) -> None:
        for weight, matrix in zip(weights, matrices, strict=True):
            weight.data.copy_(matrix.detach().view_as(weight))

    optimizer.register_step_pre_hook(read)
    optimizer.register_step_post_hook(write)
    return optimizer


def build_scheduler(optimizer: Optimizer, training: Training, steps_per_epoch: int) -> LRScheduler:
    """The recipe's schedule from the rate of the optimizer, advanced once a step.

    Raises:
        ValueError: a one-cycle's way up ends where it begins.
    """
    schedule, steps = training.schedule, steps_per_epoch * training.epochs
    if isinstance(schedule, OneCycle):
        if schedule.warmup * (steps + 1) == 1:  # OneCycleLR would divide by zero
            raise ValueError(
                f"Expected a warmup other than {schedule.warmup:g} for {steps} steps, whose way up "
                "has no length; change it."
            )
        return OneCycleLR(
            optimizer,
            optimizer.param_groups[0]["lr"],
            total_steps=steps + 1,
            pct_start=schedule.warmup,
            cycle_momentum=False,
        )
    if isinstance(schedule, Cosine):
        warm = schedule.warmup * steps_per_epoch
        return LambdaLR(
            optimizer,
            lambda step: (
                step / warm
                if step < warm
                else (1 + math.cos(math.pi * (step - warm) / (steps - warm))) / 2
            ),
        )
    every, factor = schedule.every * steps_per_epoch, schedule.factor
    return LambdaLR(optimizer, lambda step: factor ** (step // every))


def build_average(network: nn.Module, training: Training) -> AveragedModel | None:
    """The moving average of the weights and batch statistics, if the recipe wants one."""
    if training.ema_decay is None:
        return None
    average = get_ema_multi_avg_fn(training.ema_decay)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=average, use_buffers=True)
