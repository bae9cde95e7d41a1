"""Held-out accuracy under noise after equal time, for each optimizer, with and without averaging.

    RSZOO_DATA=... python benchmarks/optimizers.py [--seconds 60] [--optimizers sgd adamw muon]
        [--factors 1] [--ema 0.99] [--seeds 1] [--architecture resnet20] [--batch 256]
        [--device cpu]

Gaussian augmentation on CIFAR-10 at sigma 0.25, without 5,000 training images: on these
the accuracy is measured, under one draw of noise per image. Each run has a whole one-cycle, of as
many steps as the optimizer makes in the time: a few steps are measured first. `--factors`
multiplies the rates below, which are a start, not tuned. The average comes from the same run as
the weights that it averages, so its time counts in both columns. The default, a minute on a CPU,
shows that everything runs; to compare optimizers, take `--seconds 1800` or more and some seeds.
"""

from rszoo.smoothing.runtime import tune_process

tune_process()  # before torch is imported, as the command line does

import argparse
import statistics
import time
from dataclasses import replace

import msgspec
import torch

import rszoo
from rszoo.recipe import SGD, AdamW, Muon, Recipe, load_recipe
from rszoo.smoothing.isolation import isolated
from rszoo.smoothing.runtime import device_name, find_device
from rszoo.training import Run, noisy_accuracy, start
from rszoo.training.optimization import build_scheduler
from rszoo.training.step import take_step

HELD_OUT = 5000
MEASURED = 5
REST = SGD(momentum=0.9, nesterov=True, weight_decay=5e-4)
OPTIMIZERS: dict[str, tuple[float, SGD | AdamW | Muon]] = {
    "sgd": (0.4, REST),
    "adamw": (0.005, AdamW(beta1=0.9, beta2=0.99, eps=1e-8, weight_decay=0.05)),
    "muon": (
        0.02,
        Muon(
            momentum=0.95,
            nesterov=True,
            weight_decay=0.01,
            scaling="original",
            rest_rate=0.1,
            rest=REST,
        ),
    ),
}
"""The highest rate of each optimizer, and its table."""


def recipe(name: str, factor: float, seed: int, options: argparse.Namespace) -> Recipe:
    base = load_recipe("cifar10-resnet20-gaussian-s0.25")
    rate, table = OPTIMIZERS[name]
    if isinstance(table, Muon):
        table = msgspec.structs.replace(table, rest_rate=factor * table.rest_rate)
    training = msgspec.structs.replace(
        base.training,
        epochs=1000,  # the schedule is replaced by one of the steps that there is time for
        batch_size=options.batch,
        seed=seed,
        optimizer=table,
        schedule=msgspec.structs.replace(base.training.schedule, rate=factor * rate),
        ema_decay=options.ema,
        hold_out=HELD_OUT,
    )
    model = msgspec.structs.replace(base.model, architecture=options.architecture)
    return msgspec.structs.replace(base, model=model, training=training)


def seconds_per_step(wanted: Recipe, device: torch.device) -> float:
    run = start(wanted, device)
    run.network.train()
    take_step(run).item()  # warms up
    began = time.perf_counter()
    losses = [take_step(run) for _ in range(MEASURED)]
    losses[-1].item()  # waits for a GPU
    return (time.perf_counter() - began) / MEASURED


def trained(wanted: Recipe, steps: int, device: torch.device) -> tuple[Run, float]:
    """A run after a whole schedule of so many steps, and its seconds."""
    run = start(wanted, device)
    once = msgspec.structs.replace(wanted.training, epochs=1)
    run.schedulers = tuple(build_scheduler(each, once, steps) for each in run.optimizers)
    run.network.train()
    began = time.perf_counter()
    for _ in range(steps):
        loss = take_step(run)
    loss.item()
    return run, time.perf_counter() - began


def line(name: str, factor: float, options: argparse.Namespace, device: torch.device) -> str:
    """An optimizer's line of the table: medians over the seeds."""
    rows = []
    for seed in range(options.seeds):
        wanted = recipe(name, factor, seed, options)
        steps = max(10, int(options.seconds / seconds_per_step(wanted, device)))
        run, seconds = trained(wanted, steps, device)
        plain = replace(run, average=None)
        accuracies = [noisy_accuracy(each, run.data.monitored) for each in (plain, run)]
        rows.append((seconds, run.step / run.steps_per_epoch, *accuracies))
    seconds, epochs, plain_accuracy, averaged = (
        statistics.median(column) for column in zip(*rows, strict=True)
    )
    return (
        f"{name:<10} {factor * OPTIMIZERS[name][0]:8.4g} {seconds:8.0f} {epochs:7.2f} "
        f"{100 * plain_accuracy:9.1f} {100 * averaged:9.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="of training, per run")
    parser.add_argument("--optimizers", nargs="+", default=list(OPTIMIZERS), choices=OPTIMIZERS)
    parser.add_argument("--factors", nargs="+", type=float, default=[1.0], help="of the rates")
    parser.add_argument("--ema", type=float, default=0.99, help="decay of the average per step")
    parser.add_argument("--seeds", type=int, default=1, help="runs per line")
    parser.add_argument("--architecture", default="resnet20")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    device = find_device(options.device)
    print(
        f"rszoo {rszoo.__version__}, torch {torch.__version__}, {device_name(device)}, "
        f"{torch.get_num_threads()} threads"
    )
    print(
        f"{options.architecture}, batch {options.batch}, bfloat16, sigma 0.25; accuracy in percent "
        f"under noise on {HELD_OUT} held-out images, with and without an average (decay "
        f"{options.ema:g}); medians of {options.seeds}"
    )
    print(f"{'optimizer':<10} {'rate':>8} {'seconds':>8} {'epochs':>7} {'accuracy':>9} {'EMA':>9}")
    with isolated(device):
        for name in options.optimizers:
            for factor in options.factors:
                print(line(name, factor, options, device), flush=True)


if __name__ == "__main__":
    main()
