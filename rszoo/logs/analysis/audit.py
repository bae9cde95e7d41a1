"""What is wrong with a log: findings, one sentence each."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from rszoo.logs.analysis.projection import largest_radius
from rszoo.logs.analysis.recomputation import recomputed
from rszoo.logs.format import (
    AnyProtocol,
    CertifyProtocol,
    Log,
    PublishedProtocol,
    Record,
    Setting,
)

SIZES = {  # of the data sets of published files, whose folders name them
    ("cifar10", "train"): 50_000,
    ("cifar10", "test"): 10_000,
    ("imagenet", "train"): 1_281_167,
    ("imagenet", "test"): 50_000,
}
PAPER_N, PAPER_ALPHA = 100_000, 0.001  # what Cohen et al. state about their logs
LIKELY_ALPHAS = (
    *(0.1, 0.05, 0.025, 0.02, 0.01, 0.005, 0.0025),
    *(0.002, 0.001, 0.0005, 0.0001, 1e-5, 1e-6),
)
GRID = {0.25 * i for i in range(1, 41)}  # the radii of tables
SHOWN = 5  # how many images a sentence names


@dataclass(frozen=True)
class Finding:
    """A fault ("error"), or what a reader should know ("note")."""

    severity: Literal["error", "note"]
    sentence: str


def audit(log: Log) -> list[Finding]:
    """What is wrong with a log, the errors first; empty for a complete and sound log.

    A log of this package is held to its protocol, and its results to its votes. A published file is
    held to what the user gave when it was read: by default the n = 100000 and alpha = 0.001 of
    Cohen et al. 2019, and the sigma in its path.
    """
    if isinstance(log.protocol, PublishedProtocol):
        findings = _published(log, log.protocol)
    else:
        findings = _own(log, log.protocol)
    return sorted([*_contradictions(log), *findings], key=lambda finding: finding.severity)


def _own(log: Log, protocol: AnyProtocol) -> Iterator[Finding]:
    yield from _images(log, [i for i in protocol.indices for _ in range(protocol.lines_per_image)])
    if isinstance(protocol, CertifyProtocol):
        yield from _ceiling(log, log.setting)
    yield from (Finding(severity, sentence) for severity, sentence in recomputed(log, protocol))


def _published(log: Log, protocol: PublishedProtocol) -> Iterator[Finding]:
    if not log.records:
        yield Finding("error", "There are no results.")
        return
    yield from _published_images(log)
    digits = max(map(_digits, log.records))
    if not digits:
        return
    on_grid = sum(record.correct and record.radius in GRID for record in log.records)
    yield Finding(
        "note",
        f"Radii have {digits} significant digits at most; each may be too large by half a unit "
        f"of its last; {on_grid} right ones are exactly a multiple of 0.25.",
    )
    sigma = protocol.sigma
    if sigma is None:
        yield Finding(
            "note", "Sigma is not known, so no radius was held against n and alpha; pass --sigma."
        )
        return
    if protocol.sigma_from_path:
        yield Finding(
            "note",
            f"Sigma = {sigma:g} was read from the file's name; pass --sigma if it is another.",
        )
    n, alpha = protocol.n or PAPER_N, protocol.alpha or PAPER_ALPHA
    yield from _ceiling(log, Setting(sigma, n, alpha, protocol.bound))


def _digits(record: Record) -> int:
    """The significant digits of a published radius; 0 where it is 0 or no radius."""
    radius = record.radius or 0.0
    if not 0 < radius < math.inf or record.rounding == 0:
        return 0
    return math.floor(math.log10(radius / (2 * record.rounding)) + 1e-9) + 1


def _contradictions(log: Log) -> Iterator[Finding]:
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
        "have a base prediction below 0": [
            record.idx for record in log.records if (record.base_predict or 0) < 0
        ],
        "have a radius that is negative or no number": [
            record.idx for record in log.records if not 0 <= (record.radius or 0.0) < np.inf
        ],
    }
    yield from _errors(faults)


def _errors(faults: Mapping[str, Sequence[int]]) -> Iterator[Finding]:
    """One error for each fault that some images have."""
    for fault, images in faults.items():
        if images:
            yield Finding("error", f"{_named(images)} {fault}.")


def _images(log: Log, expected: Sequence[int]) -> Iterator[Finding]:
    """The images of the log against those of its protocol, once per line."""
    lines = [record.idx for record in log.records]
    wanted, got = Counter(expected), Counter(lines)
    missing, extra = sorted(wanted - got), sorted(got - wanted)
    unfinished = lines == list(expected[: len(lines)])
    cause = "the evaluation is not finished" if unfinished else "lines are gone"
    yield from _errors(
        {
            f"of {len(wanted)} have too few lines: {cause}": missing,
            "are there more often than they should": [idx for idx in extra if idx in wanted],
            "are not among those of the protocol": [idx for idx in extra if idx not in wanted],
        }
    )
    if not (missing or extra or unfinished):
        yield Finding("note", "The images are in another order than the protocol's.")


def _published_images(log: Log) -> Iterator[Finding]:
    """Images at a regular stride are expected, to the end of the data set if the path names it."""
    count = Counter(record.idx for record in log.records)
    images = sorted(count)
    first, last = images[0], images[-1]
    steps = Counter(after - before for before, after in pairwise(images))
    stride = max(steps, key=lambda step: (steps[step], -step), default=1)
    yield from _errors(
        {
            "are there more than once": [idx for idx in count if count[idx] > 1],
            f"do not fit a stride of {stride}": [i for i in images if (i - first) % stride],
            f"are missing at a stride of {stride}": sorted(
                set(range(first, last + 1, stride)) - set(images)
            ),
        }
    )
    parts = set(log.path.parts)
    size = next((size for names, size in SIZES.items() if parts.issuperset(names)), None)
    extent = f"from {first} to {last}"
    if size is None:
        yield Finding("note", f"There are {len(images)} images, {extent} at a stride of {stride}.")
    elif (whole := len(range(first % stride, size, stride))) > len(images):
        yield Finding(
            "error",
            f"There are {len(images)} of the {whole} images at a stride of {stride}, "
            f"{extent} of {size}.",
        )


def _ceiling(log: Log, setting: Setting) -> Iterator[Finding]:
    """Radii above what n unanimous votes give, and the alpha that would explain them."""
    largest = largest_radius(setting)
    above = [record for record in log.records if (record.radius or 0.0) > largest + record.rounding]
    if not above:
        return
    top = max(above, key=lambda record: record.radius or 0.0)
    radius, tolerance = top.radius or 0.0, max(top.rounding, 1e-6)
    named = _named([record.idx for record in above])
    fits = [
        alpha
        for alpha in LIKELY_ALPHAS
        if abs(largest_radius(replace(setting, alpha=alpha)) - radius) <= tolerance
    ]
    explained = f"alpha = {fits[0]:g} explains" if fits else "no common alpha explains"
    yield Finding(
        "error",
        f"{named} have radii above {largest:.4f}, the largest at "
        f"sigma = {setting.sigma:g}, n = {setting.n} and alpha = {setting.alpha:g}; "
        f"{explained} the largest, {radius:g}.",
    )


def _named(images: Sequence[int]) -> str:
    shown = ", ".join(map(str, images[:SHOWN]))
    return f"{len(images)} images ({shown}{', ...' if len(images) > SHOWN else ''})"
