"""What a run will cost, before it starts."""

import time
from dataclasses import dataclass

import torch

from rszoo.recipe import Recipe
from rszoo.smoothing.precision import isolated
from rszoo.training.run import start
from rszoo.training.step import take_step

MEASURED_STEPS = 5


@dataclass(frozen=True)
class Estimate:
    """The cost of a run: steps, images a step, passes through the network an image, and seconds on this device."""

    steps: int
    batch_size: int
    passes: int
    seconds: float


def estimate(recipe: Recipe, device: torch.device, *, download: bool = False) -> Estimate:
    """Measure a few steps of a run that is thrown away; arguments and errors are those of `rszoo.training.start`.

    A recipe that starts from other weights is measured with random ones: the cost is the same.
    """
    run = start(recipe, device, download=download, random_start=True)
    run.network.train()
    with isolated(device):
        began = time.perf_counter()
        take_step(
            run
        ).item()  # the first warms up, and counts only if it is the last; reading a loss waits for a GPU
        if measured := min(MEASURED_STEPS, run.steps - 1):
            began = time.perf_counter()
            losses = [take_step(run) for _ in range(measured)]
            losses[-1].item()
    seconds = (time.perf_counter() - began) / max(1, measured) * run.steps
    return Estimate(run.steps, recipe.training.batch_size, run.method.passes, seconds)
