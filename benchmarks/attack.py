"""Throughput of each attack: noisy images per second, as a ratio to the bare pass, in one run.

    python benchmarks/attack.py [--device cpu] [--architecture resnet20] [--steps 10]
        [--num-noise 16] [--seconds 5]

The bare pass is forward, cross entropy and the gradient at the image, of the same folded network,
at the best of several batch sizes, on a batch that is there and without noise; for stein, which
takes no gradient, it is forward alone. The attacks are those of `rszoo attack`, on as many images
as fill its batch, with the drawing of their noise. The numbers are medians of alternating runs.
"""

from rszoo.smoothing.runtime import tune_process

tune_process()  # before torch is imported, as the command line does

import argparse
import statistics
import time
from collections.abc import Callable
from typing import get_args

import torch
from torch.nn import functional as F

import rszoo
from rszoo.architectures import build
from rszoo.attacks import AttackName, Plan
from rszoo.attacks.attacker import Attacker, Target
from rszoo.data.datasets import get_dataset
from rszoo.smoothing.runtime import device_name, find_device

ROUNDS = 5
BATCHES = (16, 32, 64, 128, 256, 1024)
ATTACKS = get_args(AttackName)
SIGMA, EPS = 0.25, 0.5


def classifier(architecture: str, device: torch.device) -> rszoo.SmoothedClassifier:
    dataset = get_dataset("cifar10")
    torch.manual_seed(0)
    base = build(architecture, num_classes=10, mean=dataset.mean, std=dataset.std).eval()
    return rszoo.smooth(base, sigma=SIGMA, num_classes=10, input_shape=(3, 32, 32), device=device)


def bare(attacker: Attacker, size: int, *, backward: bool) -> Callable[[], object]:
    device = attacker.classifier.device
    x = (
        torch.rand(size, 3, 32, 32, device=device)
        .contiguous(memory_format=torch.channels_last)
        .requires_grad_(backward)
    )
    y = torch.randint(10, (size,), device=device)

    def step() -> object:
        with torch.set_grad_enabled(backward):
            loss = F.cross_entropy(attacker.network(x), y)
            return torch.autograd.grad(loss, x) if backward else loss

    return step


def attack(attacker: Attacker) -> tuple[Callable[[], object], int]:
    """An attack on as many images as fill a batch, and how many noisy images it passes."""
    count = max(1, attacker.batch // max(1, attacker.plan.num_noise))
    targets = [
        Target(str(number), torch.rand(3, 32, 32), number % 10, [EPS]) for number in range(count)
    ]
    return lambda: attacker(targets), count * attacker.plan.passes


def rate(step: Callable[[], object], passes: int, *, least: float, device: torch.device) -> float:
    """Noisy images per second, repeated for at least that many seconds."""
    start, repeated = time.perf_counter(), 0
    while repeated == 0 or time.perf_counter() - start < least:
        step()
        repeated += 1
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    return repeated * passes / (time.perf_counter() - start)


def best_bare(
    attacker: Attacker, device: torch.device, seconds: float
) -> tuple[Callable[[], object], int]:
    backward = attacker.plan.attack != "stein"
    steps = {size: bare(attacker, size, backward=backward) for size in BATCHES}
    for step in steps.values():
        step()
    speeds = {
        size: rate(step, size, least=seconds / 5, device=device) for size, step in steps.items()
    }
    size = max(speeds, key=speeds.__getitem__)
    return steps[size], size


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--architecture", default="resnet20")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--num-noise", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0, help="least length of one run")
    parser.add_argument("--attacks", nargs="+", default=list(ATTACKS), choices=ATTACKS)
    options = parser.parse_args()
    device = find_device(options.device)
    print(
        f"rszoo {rszoo.__version__}, torch {torch.__version__}, {device_name(device)}, "
        f"{torch.get_num_threads()} threads"
    )
    print(f"{options.architecture}, float32; noisy images per second, medians of {ROUNDS}")
    print(f"{'attack':<14} {'batch':>5} {'attack/s':>9} {'bare/s':>8} {'at':>5} {'ratio':>6}")
    smoothed = classifier(options.architecture, device)
    for name in options.attacks:
        attacker = Attacker(
            smoothed, Plan(name, options.steps, 0 if name == "pgd" else options.num_noise)
        )
        run, passes = attack(attacker)
        step, size = best_bare(attacker, device, options.seconds)
        speeds: list[float] = []
        limits: list[float] = []
        for _ in range(ROUNDS):
            speeds.append(rate(run, passes, least=options.seconds, device=device))
            limits.append(rate(step, size, least=options.seconds, device=device))
        speed, limit = statistics.median(speeds), statistics.median(limits)
        print(
            f"{name:<14} {attacker.batch:5} {speed:9.0f} {limit:8.0f} {size:5} {speed / limit:6.2f}"
        )


if __name__ == "__main__":
    main()
