"""One step of a run, and what all of them will cost.

All randomness of a step comes from (seed, step).
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rszoo.recipe import Recipe
from rszoo.smoothing.isolation import differentiable, seeded
from rszoo.smoothing.noise import step_generator, step_seed
from rszoo.smoothing.precision import mixed_precision
from rszoo.training.distributed import add_up
from rszoo.training.methods import Draw, Weighing
from rszoo.training.run import Run, start

MEASURED_STEPS = 5


def take_step(run: Run) -> Tensor:
    """Advance the run by one step; returns the mean loss of the batch, on the device."""
    run.network.zero_grad()
    purpose = f"network {run.share.number}" if run.share.number else "network"
    dropout = step_seed(run.recipe.training.seed, purpose, run.step)  # and its like
    with seeded(dropout, run.device):
        loss = _loss(run)
    loss.backward()  # type: ignore[no-untyped-call]
    loss = loss.detach()
    if run.share.of > 1:
        _share(run, loss)
    if run.recipe.training.clip_norm is not None:
        nn.utils.clip_grad_norm_(run.network.parameters(), run.recipe.training.clip_norm)
    for optimizer, scheduler in zip(run.optimizers, run.schedulers, strict=True):
        optimizer.step()
        scheduler.step()
    if run.average is not None:
        run.average.update_parameters(run.network)
    run.step += 1
    return loss


@torch.no_grad()
def _share(run: Run, loss: Tensor) -> None:
    """Give all processes the gradients and the loss of the whole batch, in one message.

    Each batch norm's running statistics become the mean of theirs, so that all have one network.
    """
    gradients = [each.grad for each in run.network.parameters() if each.grad is not None]
    statistics = [
        running
        for name, running in run.network.named_buffers()
        if name.rpartition(".")[2] in ("running_mean", "running_var")
    ]
    for running in statistics:
        running.div_(run.share.of)
    add_up([*gradients, *statistics, loss])


def _loss(run: Run) -> Tensor:
    """The weighted losses of this process's images, over the number of images of the batch."""
    recipe, training = run.recipe, run.recipe.training
    chosen = run.share.part(_chosen(run, run.step))
    generator = step_generator(training.seed, "step", run.step, run.device)
    images = run.data.batch(chosen, generator, lambda: _upcoming(run))
    x = images.to(memory_format=torch.channels_last).float().div_(255)
    draw = Draw(
        sigma=recipe.model.sigma if training.noise_sigma is None else training.noise_sigma,
        progress=run.step / run.steps_per_epoch,
        generator=generator,
        smoothing=training.label_smoothing or 0.0,
        teacher=run.teacher.network if run.teacher else None,
        prediction=run.teacher.prediction(chosen) if run.teacher else None,
        share=run.share,
    )
    with mixed_precision(run.device, training.precision):
        losses = run.method.loss(run.model, x, run.data.labels[chosen], draw)
    return (losses * run.data.weights[chosen]).sum() / training.batch_size


def _chosen(run: Run, step: int) -> Tensor:
    """The indices of the images in that step's batch."""
    size = run.recipe.training.batch_size
    epoch, position = divmod(step, run.steps_per_epoch)
    return run.sampler.order(epoch)[position * size :][:size]


def _upcoming(run: Run) -> Iterator[tuple[list[int], int]]:
    """Images and number of each batch from the present step on, as far as they are known."""
    end = run.steps
    if isinstance(run.method, Weighing):  # the next epoch may begin with other weights
        end = run.step - run.step % run.steps_per_epoch + run.steps_per_epoch
    for step in range(run.step, end):
        yield _chosen(run, step).tolist(), step


@dataclass(frozen=True)
class Estimate:
    """The cost of a run: steps, images per step, passes per image, and seconds on this device."""

    steps: int
    batch_size: int
    passes: int
    seconds: float


def estimate(recipe: Recipe, device: torch.device, *, download: bool = False) -> Estimate:
    """Measure a few steps of a run that is thrown away, as they are at its end.

    Arguments and errors are those of `rszoo.training.start`. A recipe that starts from other
    weights is measured with random ones: the cost is the same. A teacher is taken to have the
    recipe's architecture; counting its votes, and measuring the weights of images, is left out.
    """
    with differentiable(device):
        run = start(recipe, device, download=download, random_start=True)
        run.network.train()
        measured = min(MEASURED_STEPS, run.steps - 1)
        run.step = run.steps - measured - 1
        seconds = _seconds(run, 1)  # the first step warms up, and counts only if it is the last
        if measured:
            seconds = _seconds(run, measured) / measured
    return Estimate(run.steps, recipe.training.batch_size, run.method.passes, seconds * run.steps)


def _seconds(run: Run, steps: int) -> float:
    began = time.perf_counter()
    losses = [take_step(run) for _ in range(steps)]
    losses[-1].item()  # waits for a GPU
    return time.perf_counter() - began
