"""The numbers of papers, from a log of CERTIFY: certified accuracy, average certified radius, abstentions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rszoo.bounds import certified_accuracy_lower, overstated_images
from rszoo.logs.analysis.setting import tested_radii
from rszoo.logs.format import Log
from rszoo.logs.format.lines import logged_radius

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Results:
    """CERTIFY's results for m images, an array of length m each, in the order of the log.

    Attributes:
        idx, label: number and true class of the image.
        radius: certified l2 radius in pixel units, 0 where it abstained.
        correct: whether the true class was returned.
        abstained: whether none was.
    """

    idx: NDArray[np.int64]
    label: NDArray[np.int64]
    radius: Floats
    correct: NDArray[np.bool_]
    abstained: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.idx)

    def certified(self, radius: float) -> NDArray[np.bool_]:
        """Which images have the right class and a radius of at least this."""
        return self.correct & (self.radius >= radius)

    def count(self, radius: float) -> int:
        """How many have; at radius 0, all that are right."""
        return int(self.certified(radius).sum())

    def accuracy(self, radius: float) -> float:
        """Certified accuracy at this radius; at 0, the clean accuracy of the smoothed classifier."""
        return self.count(radius) / len(self)

    @property
    def gain(self) -> Floats:
        """The radius of the images that are right, 0 for the rest."""
        return np.where(self.correct, self.radius, 0.0)

    @property
    def average_radius(self) -> float:
        """Average certified radius (ACR): the mean of `gain` over all images."""
        return float(self.gain.mean())

    @property
    def abstention(self) -> float:
        """The share of images for which no class was returned."""
        return float(self.abstained.mean())

    def where(self, chosen: NDArray[Any]) -> "Results":
        """The results of some images only."""
        return Results(
            self.idx[chosen],
            self.label[chosen],
            self.radius[chosen],
            self.correct[chosen],
            self.abstained[chosen],
        )

    def by_class(self) -> dict[int, "Results"]:
        """The results by true class."""
        return {int(label): self.where(self.label == label) for label in np.unique(self.label)}

    def curve(self) -> tuple[Floats, Floats]:
        """Certified accuracy as an exact step function: radii from 0 up, and the accuracies at these.

        Between two of the radii the accuracy is that of the larger one; above the last it is 0.
        """
        ordered = np.sort(self.radius[self.correct])
        radii = np.unique(np.append(0.0, ordered))
        return radii, (ordered.size - np.searchsorted(ordered, radii)) / len(self)


def results(log: Log) -> Results:
    """The results in a log of CERTIFY; the radii of a sequential test as it tested them, which its lines hold rounded down.

    Raises:
        ValueError: it is a log of PREDICT, holds no image, or an image twice, or a radius that is none.
    """
    radii = [record.radius for record in log.records if record.radius is not None]
    if len(radii) < len(log.records):
        raise ValueError(
            f"Expected a log of CERTIFY, got {log.path}, one of PREDICT or an attack; pass logs of one kind."
        )
    idx = np.array([record.idx for record in log.records], dtype=np.int64)
    if not idx.size:
        raise ValueError(
            f"Expected results in {log.path}, got no image; run 'rszoo evaluate' before."
        )
    if np.unique(idx).size < idx.size:
        raise ValueError(
            f"Expected each image once in {log.path}, got some twice; 'rszoo audit' lists them: delete one of each."
        )
    if bad := [radius for radius in radii if not 0 <= radius < np.inf]:
        raise ValueError(
            f"Expected radii >= 0 in {log.path}, got {bad[0]}; 'rszoo audit' lists such lines: correct them."
        )
    tested = {logged_radius(radius): radius for radius in reversed(tested_radii(log) or ())}
    return Results(
        idx,
        np.array([record.label for record in log.records], dtype=np.int64),
        np.array([tested.get(radius, radius) for radius in radii]),
        np.array([record.correct for record in log.records]),
        np.array([record.predict == -1 for record in log.records]),
    )


def proved(log: Log) -> Results:
    """`results` with radii that were certified: those of a published file, which are rounded to nearest, less half a unit."""
    found = results(log)
    digits = significant_digits(log) if log.protocol is None else None
    if digits is None:
        return found
    return replace(
        found, radius=np.maximum(0.0, found.radius - half_units(found.radius, digits) * (1 + 1e-9))
    )


def half_units(radii: Floats, digits: int) -> Floats:
    """Half a unit of the last of so many significant digits; for a radius of 0, that of 1."""
    exponents: Floats = np.floor(np.log10(np.where(radii > 0, radii, 1.0)))
    return 0.5 * 10.0 ** (exponents - digits + 1)


def significant_digits(log: Log) -> int | None:
    """How many the radii of a log have; None if all are 0."""
    digits = [
        len(Decimal(repr(record.radius)).normalize().as_tuple().digits)
        for record in log.records
        if record.radius
    ]
    return max(digits, default=None)


def lower_bounds(
    found: Results, radii: Sequence[float], *, alpha: float, rho: float
) -> tuple[list[float], list[float]]:
    """Lower bounds on the certified accuracy, each too large with probability at most `rho`.

    Args:
        found: what was `proved`, with noise that is independent from image to image.
        radii: where to bound it.
        alpha: failure probability of CERTIFY for each image.
        rho: failure probability of the bounds.

    Returns:
        The bounds that hold at one radius, chosen beforehand; and those that hold at all radii at once.
    """
    counts, images = [found.count(radius) for radius in radii], len(found)
    overstated = overstated_images(images, alpha=alpha, rho=rho)
    pointwise = [certified_accuracy_lower(count, images, alpha=alpha, rho=rho) for count in counts]
    return pointwise, [max(0, count - overstated) / images for count in counts]


def vote_share(log: Log) -> float:
    """The mean share of the true class among an image's votes: the accuracy of the base classifier under noise.

    It is that on the images of the log, over the draw of the noise as well; each image needs its votes at an n that does not
    depend on them.

    Raises:
        ValueError: it is a published file, without votes, or the number of votes differs from image to image.
    """
    if log.protocol is None or log.protocol.adaptive or not log.records:
        raise ValueError(
            f"Expected a log with n votes for each image, got {log.path}; evaluate with a fixed n."
        )
    return float(
        np.mean([(record.votes or {}).get(record.label, 0) / record.n for record in log.records])
    )
