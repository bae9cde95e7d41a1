"""Which l2 radius of a log answers for a radius of a table, in l2 or, implied by it, in l-infinity.

An l2 radius R implies the l-infinity radius R / sqrt(d), with d the number of values of an image.
Nothing is certified by a method for l-infinity, and the radii that are implied are small.

Source: Salman et al. 2019, section 4.
"""

from collections.abc import Sequence
from typing import Literal

from rszoo.bounds import implying_l2
from rszoo.data.shapes import SHAPES, pixel_values
from rszoo.logs.analysis.published import Published
from rszoo.logs.analysis.summary import Results
from rszoo.logs.format import Log, PublishedProtocol

Norm = Literal["l2", "linf"]

LEGEND = (
    "l-infinity radii r, implied by l2: an image counts if its certified l2 radius is at least "
    "r sqrt(d), with d values per image."
)


def required(
    log: Log, summary: Results, radii: Sequence[float], norm: Norm = "l2"
) -> list[float | None]:
    """The certified l2 radius that an image of the log needs, for each radius of a table.

    In l-infinity a sequential test answers by the smallest of its radii that implies the one asked
    for, so its accuracy there is a lower bound.

    Args:
        log: of CERTIFY.
        summary: its results, or some of them.
        radii: in this norm, in pixel units.
        norm: of the radii.

    Returns:
        None where the log does not tell which images have the radius.

    Raises:
        ValueError: the number of values of an image is not known.
    """
    if norm == "l2":
        return [radius if summary.answers(radius) else None for radius in radii]
    values = values_of(log)
    needed = [implying_l2(radius, values) for radius in radii]
    if log.tested_radii is None:
        return [radius if summary.answers(radius) else None for radius in needed]
    return covering(log.tested_radii, needed)


def covering(known: Sequence[float], needed: Sequence[float]) -> list[float | None]:
    """For each radius the smallest known one that is not below it; for 0, the class, only 0."""
    return [
        min((other for other in known if other >= radius and (radius or not other)), default=None)
        for radius in needed
    ]


def values_of(log: Log) -> int:
    """The number of values of an image of a log: that of its data set.

    Raises:
        ValueError: it is not known; the path of a published file must name the data set.
    """
    if not isinstance(log.protocol, PublishedProtocol):
        return pixel_values(log.protocol.dataset)
    named = [part for part in log.path.parts if part in SHAPES]
    if not named:
        raise ValueError(
            f"Expected the path of a published log to name its data set ({', '.join(SHAPES)}), "
            f"got {log.path}; put it in a folder of that name."
        )
    return pixel_values(named[-1])


def stated(row: Published, radii: Sequence[float], norm: Norm) -> list[float | None]:
    """The accuracies of a paper at these radii; in l-infinity those that its l2 radii imply."""
    accuracies = dict(zip(row.radii, row.accuracies, strict=True))
    if norm == "l2":
        return [accuracies.get(radius) for radius in radii]
    needed = [implying_l2(radius, pixel_values(row.dataset)) for radius in radii]
    return [None if r is None else accuracies[r] for r in covering(row.radii, needed)]
