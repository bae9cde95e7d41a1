"""Samples and time to certify given radii, against a fixed n and the paper's loop.

    RSZOO_DATA=... python benchmarks/adaptive.py [--entry NAME] [--images 50] [--n 100000]
        [--step 0.25] [--device cpu]

Evaluates the same test images, evenly spaced, by three rules: CERTIFY with n samples per image;
the sequential test of one radius, the second of the grid; and that of the whole grid, 0 to the
largest radius that n votes can certify. The last also runs without the images whose true class was
not selected, which certified accuracy does not need. The time of the paper's loop is its measured
rate on this machine times its n0 + n samples. Prints the certified accuracies of each rule too.

    RSZOO_DATA=... python benchmarks/adaptive.py --log certify-grid.tsv [--images 50]

With the log of such a grid, certifies only its hardest images, on which it drew the most samples,
with all n: where the two rules can disagree at all, they do so there.

    python benchmarks/adaptive.py --replay rszoo/entries/*/certify-grid.tsv

From the votes at each look, which the logs hold: how many samples the test takes that gives up a
radius by its predictive power, and how many certified radii it loses, against logs of a test that
does not.
"""

from rszoo.smoothing.runtime import tune_process

tune_process()  # before torch is imported, as the command line does

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from certify import paper_loop, rate
from scipy.stats import norm

import rszoo
from rszoo.bounds import POWER, RadiusTest
from rszoo.data.datasets import open_images
from rszoo.logs.format import CertifyProtocol, read_log
from rszoo.smoothing import procedures
from rszoo.smoothing.certificate import Certificate
from rszoo.smoothing.requests import Procedure
from rszoo.smoothing.runtime import device_name, find_device
from rszoo.zoo.entry import read_entry
from rszoo.zoo.loading import OpenEntry, open_entry

N0 = 100
ALPHA = 0.001
ROUNDS = 3


class Images:
    """Test images, evenly spaced or of given indices, to certify and to time."""

    def __init__(self, entry: OpenEntry, count: int, indices: Sequence[int] | None = None) -> None:
        self.classifier = entry.classifier
        self.source = open_images(entry.config.dataset, "test")
        self.indices = indices or range(
            0, len(self.source.labels), len(self.source.labels) // count
        )

    def certify(
        self, make: Callable[..., Procedure[Certificate]], *, correct_only: bool = False
    ) -> tuple[list[Certificate], float]:
        def jobs() -> Iterator[tuple[torch.Tensor, str, Procedure[Certificate]]]:
            for idx in self.indices:
                only = int(self.source.labels[idx]) if correct_only else None
                yield self.source.pixels(idx) / 255, str(idx), make(only=only)

        started = time.perf_counter()
        certificates = list(self.classifier.run(jobs(), seed=0))
        return certificates, time.perf_counter() - started

    def table(self, certificates: list[Certificate], radii: list[float]) -> list[float]:
        labels = [int(self.source.labels[idx]) for idx in self.indices]
        return [
            sum(c.label == y and c.radius >= r for c, y in zip(certificates, labels, strict=True))
            / len(certificates)
            for r in radii
        ]


def paper_rate(entry: OpenEntry, device: torch.device) -> float:
    """Samples per second of the paper's loop: the best of some runs."""
    base, x = (
        read_entry(entry.folder)[0].to(device),
        torch.rand(entry.config.input_shape, device=device),
    )
    return max(rate(lambda: paper_loop(base, x, 2000), 2000, device) for _ in range(ROUNDS))


def against(log: Path, entry: OpenEntry, count: int) -> None:
    """Print how many of the hardest images of a grid's log a fixed n certifies otherwise."""
    read = read_log(log)
    protocol = read.protocol
    if not isinstance(protocol, CertifyProtocol) or protocol.radii is None:
        raise SystemExit(f"Expected a log of 'rszoo evaluate --radius', got {log}; make one.")
    if protocol.weights_sha256 != entry.config.weights_sha256:
        raise SystemExit(
            f"Expected a log of {entry.config.name}, got {log}, of other weights; "
            f"pass --entry {protocol.name}."
        )
    hardest = sorted(read.records, key=lambda record: record.n, reverse=True)[:count]
    images = Images(entry, count, [record.idx for record in hardest])
    setting = entry.classifier.setting(protocol.alpha, protocol.seed)
    certificates, _ = images.certify(
        procedures.certification(setting, n0=protocol.n0, n=protocol.n, bound=protocol.bound)
    )
    pairs = list(zip(hardest, certificates, strict=True))
    drawn = f"{hardest[-1].n} to {hardest[0].n} samples"
    print(
        f"{len(pairs)} of {len(read.records)} images, on which {log} drew {drawn}, "
        f"again with all {protocol.n}:"
    )
    for radius in protocol.radii:
        grid = [
            record.predict == record.label and (record.radius or 0.0) >= radius
            for record in hardest
        ]
        fixed = [one.label == record.label and one.radius >= radius for record, one in pairs]
        gained, lost = (
            sum(a and not b for a, b in zip(*two, strict=True))
            for two in ((grid, fixed), (fixed, grid))
        )
        print(
            f"radius {radius:g}: certified and right by the grid only {gained}, "
            f"by the fixed n only {lost}"
        )


def replay(paths: Sequence[Path]) -> None:
    """Print what giving up by predictive power saves and loses, on grids made without it."""
    for path in paths:
        read = read_log(path)
        protocol = read.protocol
        if not isinstance(protocol, CertifyProtocol) or protocol.radii is None or protocol.power:
            print(f"{path}: no log of radii, or made with a power of its own")
            continue
        radii = tuple(radius / protocol.sigma for radius in protocol.radii)
        before = after = certified = kept = 0
        for record in read.records:
            test = RadiusTest(radii, n=protocol.n, alpha=protocol.level(protocol.n), power=POWER)
            whole = replace(test, counts=record.path or ())
            for count in whole.counts:
                test = test.update(count) if test.outcome == "continue" else test
            before, after = before + whole.drawn, after + test.drawn
            certified, kept = certified + whole.certified, kept + test.certified
        count = len(read.records)
        print(
            f"{protocol.name}: {before / count:.0f} samples per image, with power {POWER:g} "
            f"{after / count:.0f} ({1 - after / before:.0%} fewer); "
            f"certified radii {certified}, lost {certified - kept}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entry", default="cifar10-resnet20-gaussian-s0.25")
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--step", type=float, default=0.25)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--log", type=Path, help="the log of a grid")
    parser.add_argument("--replay", type=Path, nargs="+", metavar="LOG", help="the logs of grids")
    options = parser.parse_args()
    if options.replay:
        replay(options.replay)
        return
    device = find_device(options.device)
    entry = open_entry(options.entry, device=device)
    if options.log:
        against(options.log, entry, options.images)
    else:
        side_by_side(options, entry, device)


def side_by_side(options: argparse.Namespace, entry: OpenEntry, device: torch.device) -> None:
    """Print samples, time and table of each rule."""
    images, classifier = Images(entry, options.images), entry.classifier
    setting = classifier.setting(ALPHA, 0)
    ceiling = classifier.sigma * float(norm.ppf(ALPHA ** (1 / options.n)))
    grid = [options.step * k for k in range(int(ceiling / options.step) + 1)]

    def rule(radius: list[float] | None) -> Callable[..., Procedure[Certificate]]:
        return procedures.certification(setting, n0=N0, n=options.n, bound="cohen", radius=radius)

    runs = {
        "fixed n": images.certify(rule(None)),
        f"radius {grid[1]:g}": images.certify(rule([grid[1]])),
        "grid": images.certify(rule(grid)),
        "grid, correct only": images.certify(rule(grid), correct_only=True),
    }
    print(
        f"rszoo {rszoo.__version__}, torch {torch.__version__}, {device_name(device)}, "
        f"{torch.get_num_threads()} threads"
    )
    print(
        f"{options.entry}: {len(images.indices)} test images, at most {options.n} samples, "
        f"alpha {ALPHA}"
    )
    loop = paper_rate(entry, device)
    fixed = N0 + options.n
    print(f"paper's loop: {loop:.0f} samples per second, {fixed / loop:.1f} s per image")
    radii = ", ".join(f"{radius:g}" for radius in grid)
    print(
        f"{'rule':<20} {'samples':>8} {'fewer':>7} {'s/image':>8} {'faster':>8}  "
        f"certified accuracy at {radii}"
    )
    for name, (certificates, seconds) in runs.items():
        count = len(certificates)
        mean = sum(c.n0 + c.n for c in certificates) / count
        faster = fixed / loop / (seconds / count)
        accuracies = images.table(certificates, grid[1:2] if name.startswith("radius") else grid)
        print(
            f"{name:<20} {mean:8.0f} {fixed / mean:6.1f}x {seconds / count:8.2f} {faster:7.1f}x  "
            + " ".join(f"{accuracy:.3f}" for accuracy in accuracies)
        )


if __name__ == "__main__":
    main()
