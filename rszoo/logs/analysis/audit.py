"""What is wrong with a log: findings, each one sentence."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from scipy import special

from rszoo.logs.analysis.recomputation import recomputed
from rszoo.logs.analysis.setting import Given, named_sigma
from rszoo.logs.analysis.summary import half_units, significant_digits
from rszoo.logs.format import CertifyProtocol, Log

SIZES = {  # of the data sets of published files, whose folders name them
    ("cifar10", "train"): 50_000,
    ("cifar10", "test"): 10_000,
    ("imagenet", "train"): 1_281_167,
    ("imagenet", "test"): 50_000,
}
LIKELY = (
    0.1,
    0.05,
    0.025,
    0.02,
    0.01,
    0.005,
    0.0025,
    0.002,
    0.001,
    0.0005,
    0.0001,
    1e-5,
    1e-6,
)  # levels that people choose
GRID = {0.25 * i for i in range(1, 41)}  # the radii of tables
SHOWN = 5  # how many images a sentence names
PAPER = Given(n=100_000, alpha=0.001)  # what Cohen et al. state of their logs


@dataclass(frozen=True)
class Finding:
    """A fault ("error"), or what a reader should know ("note")."""

    severity: Literal["error", "note"]
    sentence: str


def audit(log: Log, given: Given | None = None) -> list[Finding]:
    """What is wrong with a log, the errors first; none for a complete log of this package without faults.

    A log of this package is held to its protocol, and its results to its votes. A published file is held to what is `given`:
    by default the n = 100000 and alpha = 0.001 of Cohen et al. 2019, and the sigma in its name.

    Raises:
        ValueError: something is `given` that the log of this package says itself.
    """
    if log.protocol is not None and given not in (None, Given()):
        raise ValueError(
            f"Expected sigma, n and alpha of a published file only, got {log.path}, which states them; leave them out."
        )
    found = [
        *_consistency(log),
        *(_published(log, given or Given()) if log.protocol is None else _own(log)),
    ]
    return sorted(found, key=lambda finding: finding.severity)


def _own(log: Log) -> Iterator[Finding]:
    protocol = log.protocol
    assert protocol is not None
    yield from _images(
        log, Counter(idx for idx in protocol.indices for _ in range(protocol.lines_an_image))
    )
    if isinstance(protocol, CertifyProtocol):
        yield from _ceiling(log, Given(protocol.sigma, protocol.n, protocol.alpha), half_unit=0.0)
    yield from (Finding(severity, sentence) for severity, sentence in recomputed(log, protocol))


def _published(log: Log, given: Given) -> Iterator[Finding]:
    if not log.records:
        yield Finding("error", "There are no results.")
        return
    yield from _published_images(log)
    radii = [record.radius for record in log.records if record.radius]
    digits = significant_digits(log)
    if digits is None:
        return
    on_grid = sum(record.correct and record.radius in GRID for record in log.records)
    yield Finding(
        "note",
        f"Radii have {digits} significant digits, so each may be too large by half a unit of the last; {on_grid} right ones "
        "are exactly a multiple of 0.25.",
    )
    sigma = given.sigma or named_sigma(log)
    if sigma is None:
        yield Finding(
            "note", "Sigma is not known, so no radius was held against n and alpha; pass --sigma."
        )
        return
    if given.sigma is None:
        yield Finding(
            "note",
            f"Sigma = {sigma:g} was read from the file's name; pass --sigma if it is another.",
        )
    held = Given(sigma, given.n or PAPER.n, given.alpha or PAPER.alpha)
    yield from _ceiling(log, held, half_unit=float(half_units(np.array([max(radii)]), digits)[0]))


def _consistency(log: Log) -> Iterator[Finding]:
    """Columns that contradict each other."""
    faults = {
        "are called correct although label and predict differ, or the reverse": [
            record.idx
            for record in log.records
            if record.correct != (record.predict == record.label)
        ],
        "abstain and have a radius above 0": [
            record.idx for record in log.records if record.predict == -1 and record.radius
        ],
        "have a class below -1": [
            record.idx for record in log.records if record.predict < -1 or record.label < 0
        ],
        "have a radius that is negative or no number": [
            record.idx
            for record in log.records
            if record.radius is not None and not 0 <= record.radius < float("inf")
        ],
    }
    for fault, images in faults.items():
        if images:
            yield Finding("error", f"{_named(images)} {fault}.")


def _images(log: Log, expected: Counter[int]) -> Iterator[Finding]:
    got = Counter(record.idx for record in log.records)
    missing, extra = sorted(expected - got), sorted(got - expected)
    if missing:
        unfinished = [record.idx for record in log.records] == list(expected.elements())[
            : len(log.records)
        ]
        cause = "the evaluation is not finished" if unfinished else "lines are gone"
        yield Finding("error", f"{_named(missing)} of {len(expected)} have too few lines: {cause}.")
    repeated = [idx for idx in extra if idx in expected]
    if repeated:
        yield Finding("error", f"{_named(repeated)} are there more often than they should.")
    if foreign := [idx for idx in extra if idx not in expected]:
        yield Finding("error", f"{_named(foreign)} are not among those of the protocol.")
    if not (missing or extra) and [record.idx for record in log.records] != list(
        expected.elements()
    ):
        yield Finding("note", "The images are in another order than the protocol's.")


def _published_images(log: Log) -> Iterator[Finding]:
    """Images at a regular distance are expected, to the end of the data set where the path names it."""
    idx = [record.idx for record in log.records]
    unique = sorted(set(idx))
    if repeated := [each for each, count in Counter(idx).items() if count > 1]:
        yield Finding("error", f"{_named(repeated)} are there more than once.")
    steps = Counter(after - before for before, after in pairwise(unique))
    stride = max(steps, key=lambda step: (steps[step], -step), default=1)
    if irregular := [each for each in unique if (each - unique[0]) % stride]:
        yield Finding("error", f"{_named(irregular)} do not fit a stride of {stride}.")
    if absent := sorted(set(range(unique[0], unique[-1] + 1, stride)) - set(unique)):
        yield Finding("error", f"{_named(absent)} are missing at a stride of {stride}.")
    size = _size(log)
    if size is None:
        yield Finding(
            "note",
            f"There are {len(unique)} images, from {unique[0]} to {unique[-1]} at a stride of {stride}.",
        )
    elif (whole := len(range(unique[0] % stride, size, stride))) > len(unique):
        extent = f"from {unique[0]} to {unique[-1]} of {size}"
        yield Finding(
            "error",
            f"There are {len(unique)} of the {whole} images at a stride of {stride}, {extent}.",
        )


def _size(log: Log) -> int | None:
    """Of the data set that the folders of a published file name."""
    parts = set(log.path.parts)
    return next((size for names, size in SIZES.items() if parts.issuperset(names)), None)


def _ceiling(log: Log, held: Given, *, half_unit: float) -> Iterator[Finding]:
    """Radii above what n unanimous votes give, and the alpha that would explain them."""
    assert held.sigma is not None
    assert held.n is not None
    assert held.alpha is not None
    largest = ceiling(held.sigma, held.n, held.alpha)
    above = [record.idx for record in log.records if (record.radius or 0.0) > largest + half_unit]
    if not above:
        return
    radius = max(record.radius or 0.0 for record in log.records)
    fits = [
        alpha
        for alpha in LIKELY
        if abs(ceiling(held.sigma, held.n, alpha) - radius) <= max(half_unit, 1e-6)
    ]
    explained = f"alpha = {fits[0]:g} explains" if fits else "no common alpha explains"
    yield Finding(
        "error",
        f"{_named(above)} have radii above {largest:.4f}, the largest at sigma = {held.sigma:g}, n = {held.n} and alpha = "
        f"{held.alpha:g}; {explained} the largest, {radius:g}.",
    )


def ceiling(sigma: float, n: int, alpha: float) -> float:
    """The l2 radius of n unanimous votes, in pixel units."""
    return sigma * float(special.ndtri(alpha ** (1 / n)))


def _named(images: Sequence[int]) -> str:
    shown = ", ".join(map(str, images[:SHOWN]))
    return f"{len(images)} images ({shown}{', ...' if len(images) > SHOWN else ''})"
