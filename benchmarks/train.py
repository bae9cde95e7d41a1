"""Speed of a training step of each method, against the bare forward and backward pass, in one run.

    python benchmarks/train.py [--device cpu] [--architecture resnet20] [--batch 256] [--steps 6]
        [--methods gaussian ...]

The bare pass is forward, cross entropy and backward of the same network in the same precision on a
batch in memory. A method that needs k passes (`Method.passes`) trains at most about 1/k as many
images per second: the ratio is the measured rate times k over the bare rate. It can exceed 1,
because the passes of an attack compute no gradients of weights. The numbers are medians of
alternating runs; augmentation, noise, optimizer and schedule are in the methods' time.

The last columns set a step against the device: its operations and bytes (`limits.py`), and the
share of the measured time that the device would need for the larger of the two at the rates that it
reaches in this process.
"""

from rszoo.smoothing.runtime import tune_process

tune_process()  # before torch is imported, as the command line does

import argparse
import statistics
import time
from collections.abc import Callable

import msgspec
import torch
from limits import Work, count, measure
from torch.nn import functional as F

import rszoo
from rszoo.recipe import Recipe, load_recipe
from rszoo.smoothing.isolation import isolated
from rszoo.smoothing.precision import mixed_precision
from rszoo.smoothing.runtime import device_name, find_device
from rszoo.training import Run, run
from rszoo.training.data import TrainingData, augmented
from rszoo.training.methods import METHODS, WHOLE, Share
from rszoo.training.step import take_step

ROUNDS = 3
SETTINGS: dict[str, dict[str, str | bool | int | float]] = {
    "gaussian": {},
    "stability": {"lam": 2.0},
    "smoothed": {"m": 2},
    "adversarial": {"eps": 0.25, "steps": 2, "noisy": True, "warmup": 0},
    "smoothadv": {"attack": "pgd", "eps": 0.25, "steps": 2, "m": 2, "m_train": 2, "warmup": 0},
    "adre": {"k": 2, "lam": 0.1, "draws": "all"},
    "adreadv": {"k": 2, "lam": 0.1, "draws": "all", "eps": 0.25, "steps": 2, "warmup": 0},
    "macer": {"m": 2, "lam": 12.0, "gamma": 8.0, "beta": 16.0, "deferred": 0},
    "consistency": {"m": 2, "lam": 10.0, "eta": 0.5},
    "smoothmix": {"m": 2, "steps": 2, "alpha": 0.5, "eta": 5.0, "mix_step": 0, "warmup": 0},
    "catrs": {"m": 2, "lam": 1.0, "eps": 1.0, "steps": 2, "confidence": "votes"},
    "reweighted": {
        "m": 2,
        "eps": 0.25,
        "steps": 2,
        "start": 0,
        "threshold": 0.5,
        "every": 10,
        "votes": 16,
        "first_votes": 100,
    },
    "distilled": {"m": 1},
}
TEACHERS: dict[str, dict[str, str | int]] = {
    "catrs": {"teacher": "any", "teacher_votes": 1},
    "distilled": {"teacher": "any"},
}
"""What [training] says of a teacher; it has the network of the benchmark and random weights."""


def made_up(
    recipe: Recipe, device: torch.device, *, download: bool, share: Share = WHOLE
) -> TrainingData:
    """A data set of the right shape: the speed does not depend on the pixels."""
    count, augmentation = 8 * recipe.training.batch_size, recipe.training.augmentation
    images = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, device=device)
    labels = torch.randint(10, (count,), device=device)
    return TrainingData(
        labels,
        torch.ones(count, device=device),
        [(images, labels)],
        "held-out",
        lambda chosen, generator, upcoming: augmented(
            images[chosen], augmentation, generator, share
        ),
        lambda: "made up",
        lambda: [images],
    )


def prepare(
    name: str, architecture: str, batch: int, device: torch.device, share: Share = WHOLE
) -> Run:
    recipe = load_recipe("cifar10-resnet20-gaussian-s0.25")
    model = msgspec.structs.replace(recipe.model, architecture=architecture)
    training = msgspec.structs.replace(recipe.training, batch_size=batch, **TEACHERS.get(name, {}))
    method = {"name": name, **SETTINGS[name]}
    changed = msgspec.structs.replace(recipe, model=model, training=training, method=method)
    prepared = run.start(changed, device, random_start=True, share=share)
    prepared.network.train()
    return prepared


def bare(prepared: Run) -> Callable[[], object]:
    batch, device = prepared.recipe.training.batch_size, prepared.device
    x = torch.rand(batch, 3, 32, 32, device=device).contiguous(memory_format=torch.channels_last)
    y = torch.randint(10, (batch,), device=device)

    def step() -> None:
        with mixed_precision(device, "bfloat16"):
            loss = F.cross_entropy(prepared.network(x), y)
        prepared.network.zero_grad()
        loss.backward()

    return step


def rate(step: Callable[[], object], steps: int, batch: int, device: torch.device) -> float:
    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    with isolated(device):
        wait()
        start = time.perf_counter()
        for _ in range(steps):
            step()
        wait()
        return steps * batch / (time.perf_counter() - start)


def line(name: str, options: argparse.Namespace, device: torch.device, gives: Work) -> str:
    """A method's line of the table."""
    batch, steps = options.batch, options.steps
    prepared = prepare(name, options.architecture, batch, device)
    passes, basic = prepared.method.passes, bare(prepared)
    asks = count(lambda: take_step(prepared))
    basic()
    rates: list[float] = []
    bares: list[float] = []
    for _ in range(ROUNDS):
        rates.append(rate(lambda: take_step(prepared), max(2, steps // passes), batch, device))
        bares.append(rate(basic, steps, batch, device))
    speed, limit = statistics.median(rates), statistics.median(bares)
    share = asks.seconds(gives) * speed / batch
    return (
        f"{name:<12} {passes:6} {speed:9.0f} {limit:7.0f} {speed * passes / limit:6.2f} "
        f"{asks.operations / 1e9:7.1f} {asks.bytes / 1e9:6.2f} {share:8.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--architecture", default="resnet20")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument(
        "--steps", type=int, default=6, help="steps of a run, divided by the passes of the method"
    )
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    options = parser.parse_args()
    device = find_device(options.device)
    run.load_data = made_up
    print(
        f"rszoo {rszoo.__version__}, torch {torch.__version__}, {device_name(device)}, "
        f"{torch.get_num_threads()} threads"
    )
    print(
        f"{options.architecture}, batch {options.batch}, bfloat16; images per second, "
        f"medians of {ROUNDS}"
    )
    gives = measure(device)
    print(
        f"the device: {gives.operations / 1e12:.2f} TFLOP/s in a matrix product, "
        f"{gives.bytes / 1e9:.0f} GB/s in a copy"
    )
    print(
        f"{'method':<12} {'passes':>6} {'images/s':>9} {'bare':>7} {'ratio':>6} "
        f"{'GFLOP':>7} {'GB':>6} {'of limit':>8}"
    )
    for name in options.methods:
        print(line(name, options, device, gives))


if __name__ == "__main__":
    main()
