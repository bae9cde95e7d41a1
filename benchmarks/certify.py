"""Samples per second of `certify`, and its ratios to the paper's loop and the bare forward pass.

    python benchmarks/certify.py [--device cpu] [--precision bfloat16] [--seconds 5]
                                 [--architectures resnet20 resnet110]

The paper's loop is the pseudocode of Cohen et al. 2019, written plainly: repeat the image, add
`randn_like`, forward in float32, count. It runs in this process, whose memory and threads are tuned
as the command line tunes its own, and ("plain") in an untuned process, as it would for anybody.

The bare forward pass uses the same inference form at the best of several batch sizes, without noise
or counting. Its batches take turns, so that none is already in the processor's cache. "torch" is
the same pass with torch's own kernels for the precision, which differ on processors without
bfloat16 instructions.

A second table divides the time of a sample of `certify` into noise, network and the rest, for both
kinds of noise: the noise alone as the engine draws it, a block on each core, and the bare forward
pass.

The numbers are medians of alternating runs.
"""

import sys

from rszoo.smoothing.runtime import tune_process

PLAIN = "--plain-loop"
if PLAIN not in sys.argv:
    tune_process()  # before torch is imported, as the command line does

import argparse
import statistics
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import torch
from torch import nn

import rszoo
from rszoo.architectures import build
from rszoo.data.datasets import get_dataset
from rszoo.smoothing.form import PRECISIONS
from rszoo.smoothing.noise import STREAMS, Noise, block_size
from rszoo.smoothing.requests import Stage
from rszoo.smoothing.runtime import device_name, find_device

ROUNDS = 5
BATCHES = (64, 128, 256, 512, 1024, 4096)
PAPER_BATCH = 1000
COLD = 2**27  # bytes of input between two uses of a batch
SIGMA = 0.25


def paper_loop(base: nn.Module, x: torch.Tensor, n: int, sigma: float = SIGMA) -> torch.Tensor:
    counts = torch.zeros(10, dtype=torch.int64)
    with torch.no_grad():
        for start in range(0, n, PAPER_BATCH):
            batch = x.repeat((min(PAPER_BATCH, n - start), 1, 1, 1))
            predictions = base(batch + torch.randn_like(batch) * sigma).argmax(1)
            counts += torch.bincount(predictions.cpu(), minlength=10)
    return counts


def rate(function: Callable[[], object], samples: int, device: torch.device) -> float:
    start = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return samples / (time.perf_counter() - start)


def network(architecture: str, device: torch.device) -> nn.Module:
    dataset = get_dataset("cifar10")
    torch.manual_seed(0)
    return build(architecture, num_classes=10, mean=dataset.mean, std=dataset.std).eval().to(device)


def plain_loop(architecture: str, device: torch.device, n: int) -> float:
    """Samples per second of the paper's loop in a process of its own."""
    command = [
        sys.executable,
        __file__,
        PLAIN,
        str(n),
        "--device",
        str(device),
        "--architectures",
        architecture,
    ]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def draw(classifier: rszoo.SmoothedClassifier, x: torch.Tensor, n: int) -> None:
    """The noisy images of n samples, drawn as the engine draws them."""
    noise = Noise.newest(classifier.noise, classifier.sigma, 0)
    blocks = range(-(-n // block_size(tuple(x.shape), x.device)))
    with ThreadPoolExecutor(torch.get_num_threads() if x.device.type == "cpu" else 1) as pool:
        for _ in pool.map(lambda block: noise.noisy(x, "x", Stage.ESTIMATE, block), blocks):
            pass


def measure(
    architecture: str, precision: str, device: torch.device, seconds: float
) -> dict[str, float]:
    base = network(architecture, device)
    kinds = {
        noise: rszoo.smooth(
            base,
            sigma=SIGMA,
            num_classes=10,
            input_shape=(3, 32, 32),
            precision=precision,
            noise=noise,
            device=device,
        )
        for noise in STREAMS
    }
    classifier = kinds["grid"]
    x = torch.randint(0, 256, (3, 32, 32)) / 255
    batches = [
        torch.rand(size, 3, 32, 32, device=device).contiguous(memory_format=torch.channels_last)
        for size in BATCHES
    ]

    def forward(batch: torch.Tensor) -> object:
        with torch.inference_mode():
            return classifier.form.logits(batch)

    for batch in batches:
        forward(batch)
    speeds = [
        max(rate(lambda b=batch: forward(b), len(batch), device) for _ in range(3))
        for batch in batches
    ]
    best = batches[speeds.index(max(speeds))]
    n = max(2000, int(seconds * max(speeds)) // 1000 * 1000)
    repeats = -(-n // len(best))
    fresh = [torch.rand_like(best) for _ in range(max(1, COLD // best.nbytes))]
    runs: dict[str, tuple[Callable[[], object], int]] = {
        "paper": (lambda: paper_loop(base, x.to(device), n // 4), n // 4),
        "certify": (lambda: classifier.certify(x, n0=100, n=n - 100), n),
        "float": (lambda: kinds["float"].certify(x, n0=100, n=n - 100), n),
        "noise grid": (lambda: draw(classifier, x.to(device), n), n),
        "noise float": (lambda: draw(kinds["float"], x.to(device), n), n),
        "forward": (
            lambda: [forward(fresh[i % len(fresh)]) for i in range(repeats)],
            repeats * len(best),
        ),
    }
    some = max(1, repeats // 8)

    def torchs() -> None:
        with patch("rszoo.smoothing.precision.multiplies_bfloat16", return_value=True):
            for i in range(some):
                forward(fresh[i % len(fresh)])

    runs["torch"] = torchs, some * len(best)
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, (function, samples) in runs.items():
            found[name].append(rate(function, samples, device))
    medians = {name: statistics.median(values) for name, values in found.items()}
    return medians | {"plain": plain_loop(architecture, device, n // 4)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="bfloat16", choices=PRECISIONS)
    parser.add_argument("--architectures", nargs="+", default=["resnet20", "resnet110"])
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one run")
    parser.add_argument(
        PLAIN,
        type=int,
        metavar="N",
        help="print only the rate of the paper's loop in this process, untuned",
    )
    options = parser.parse_args()
    device = find_device(options.device)
    if options.plain_loop:
        base, x = network(options.architectures[0], device), torch.rand(3, 32, 32, device=device)
        loop = [
            rate(lambda: paper_loop(base, x, options.plain_loop), options.plain_loop, device)
            for _ in range(ROUNDS)
        ]
        print(statistics.median(loop))
        return
    print(
        f"rszoo {rszoo.__version__}, torch {torch.__version__}, {device_name(device)}, "
        f"{torch.get_num_threads()} threads"
    )
    print("samples per second, medians of", ROUNDS)
    shares = []
    rates = ("plain", "paper", "certify", "forward", "torch")
    others = ("plain", "paper", "forward", "torch")
    heads = [*rates, *(f"/{other}" for other in others)]
    print(f"{'network':<10} {'precision':<9} " + " ".join(f"{head:>8}" for head in heads))
    for architecture in options.architectures:
        speed = measure(architecture, options.precision, device, options.seconds)
        numbers = [f"{speed[name]:8.0f}" for name in rates]
        numbers += [f"{speed['certify'] / speed[other]:8.2f}" for other in others]
        print(f"{architecture:<10} {options.precision:<9} " + " ".join(numbers))
        for noise, name in (("grid", "certify"), ("float", "float")):
            noisy, network_alone = (
                speed[name] / speed[f"noise {noise}"],
                speed[name] / speed["forward"],
            )
            parts = (noisy, network_alone, 1 - noisy - network_alone)
            cells = " ".join(f"{100 * part:7.1f} %" for part in parts)
            shares.append(f"{architecture:<10} {noise:<9} {speed[name]:8.0f} {cells}")
    print(f"\n{'network':<10} {'noise':<9} {'certify':>8} {'noise':>9} {'network':>9} {'rest':>9}")
    print("\n".join(shares))


if __name__ == "__main__":
    main()
