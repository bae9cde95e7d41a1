"""One step of a run: all its randomness comes from (seed, step, group)."""

from collections.abc import Iterator
from functools import lru_cache

import torch
from torch import Tensor, nn

from rszoo.smoothing.noise import step_generator
from rszoo.smoothing.precision import mixed_precision
from rszoo.training import distributed as processes
from rszoo.training.run import Run


def take_step(run: Run) -> Tensor:
    """Advance the run by one step; returns the mean loss of the batch, on the device."""
    chosen = _chosen(run, run.step)
    run.optimizer.zero_grad()
    statistics = _Statistics(run.network, run.groups)
    loss = torch.zeros((), device=run.device)
    for group in range(processes.rank(), run.groups, processes.count()):
        loss += _group(run, chosen.chunk(run.groups)[group], group)
        statistics.collect()
    gradients = [
        parameter.grad for parameter in run.network.parameters() if parameter.grad is not None
    ]
    processes.add([*gradients, loss])
    statistics.settle()
    if run.recipe.training.clip_norm is not None:
        nn.utils.clip_grad_norm_(run.network.parameters(), run.recipe.training.clip_norm)
    run.optimizer.step()
    run.scheduler.step()
    if run.average is not None:
        run.average.update_parameters(run.network)
    run.step += 1
    return loss


def _chosen(run: Run, step: int) -> Tensor:
    epoch, position = divmod(step, run.steps_per_epoch)
    order = _order(run.recipe.training.seed, epoch, len(run.data.labels), run.device)
    return order[position * run.recipe.training.batch_size :][: run.recipe.training.batch_size]


@lru_cache(maxsize=2)  # batches that are read ahead may be of the next epoch
def _order(seed: int, epoch: int, count: int, device: torch.device) -> Tensor:
    return torch.randperm(
        count, generator=step_generator(seed, "order", epoch, device), device=device
    )


def _group(run: Run, chosen: Tensor, group: int) -> Tensor:
    """Add the gradient of one group; returns its share of the batch's mean loss."""
    recipe, training, data = run.recipe, run.recipe.training, run.data
    generator = step_generator(training.seed, "step", run.step * run.groups + group, run.device)
    images = data.batch(chosen, generator, lambda: _upcoming(run))
    x = images.to(memory_format=torch.channels_last).float().div_(255)
    with mixed_precision(run.device, training.precision):
        losses = run.method.loss(
            run.model,
            x,
            data.labels[chosen],
            sigma=recipe.model.sigma if training.noise_sigma is None else training.noise_sigma,
            progress=run.step / run.steps_per_epoch,
            generator=generator,
            smoothing=training.label_smoothing or 0.0,
        )
    loss = (losses * data.weights[chosen]).sum() / training.batch_size
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()


def _upcoming(run: Run) -> Iterator[tuple[list[int], int]]:
    """The batches of this process from the present step on."""
    for step in range(run.step, run.steps):
        for group in range(processes.rank(), run.groups, processes.count()):
            yield _chosen(run, step).chunk(run.groups)[group].tolist(), step * run.groups + group


class _Statistics:
    """Running batch statistics, averaged over the groups of a batch: the same for any number of processes."""

    def __init__(self, network: nn.Module, groups: int) -> None:
        self.groups = groups
        self.buffers = [b for b in network.buffers() if b.is_floating_point()] if groups > 1 else []
        self.before = [buffer.clone() for buffer in self.buffers]
        counters = [b for b in network.buffers() if not b.is_floating_point()] if groups > 1 else []
        self.counters = [(counter, counter + 1) for counter in counters]
        self.sums = [torch.zeros_like(buffer) for buffer in self.buffers]

    def collect(self) -> None:
        for buffer, before, total in zip(self.buffers, self.before, self.sums, strict=True):
            total.add_(buffer)
            buffer.copy_(before)

    def settle(self) -> None:
        if self.buffers:
            processes.add(self.sums)
        for buffer, total in zip(self.buffers, self.sums, strict=True):
            buffer.copy_(total / self.groups)
        for counter, after in self.counters:
            counter.copy_(after)
