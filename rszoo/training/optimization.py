"""Optimizer, schedule and weight averaging of a recipe, by torch's own classes."""

import math
from collections.abc import Iterable

from torch import nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from rszoo.recipe import Cosine, OneCycle, Training


def build_optimizer(parameters: Iterable[nn.Parameter], training: Training) -> Optimizer:
    """The recipe's optimizer at the schedule's highest rate."""
    options = training.optimizer
    return SGD(
        parameters,
        lr=training.schedule.rate,
        momentum=options.momentum,
        nesterov=options.nesterov,
        weight_decay=options.weight_decay,
        fused=True,
    )


def build_scheduler(optimizer: Optimizer, training: Training, steps_per_epoch: int) -> LRScheduler:
    """The recipe's schedule, advanced once a step."""
    schedule, steps = training.schedule, steps_per_epoch * training.epochs
    if isinstance(schedule, OneCycle):
        return OneCycleLR(
            optimizer,
            schedule.rate,
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
