"""Rules that turn scores into a certified radius of SOFT smoothing, by name: `SOFT_BOUNDS`.

Scores are softmax outputs in steps of 2^-20, rounded down: as integers, their sums are exact,
whatever the batches, and the scores of an image never add up to more than 1. F in
`rszoo.bounds.soft` is the network with this rounding.

A rule bounds the mean score G_A of the class under test below at alpha / 2, and the largest other
mean G_B above at alpha / 2. G_B is a maximum, so the largest of the upper bounds of all other
classes holds where that of the true runner-up does: no correction for the number of classes. Where
the lower bound L holds, G_B is at most 1 - L as well.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rszoo.bounds.betting import betting_lower
from rszoo.bounds.soft import (
    empirical_bernstein_lower,
    empirical_bernstein_upper,
    hoeffding_lower,
    hoeffding_upper,
    soft_radius,
)

STEPS = 2**20
MOST = 2**23  # more squares might not fit into 64 bits


@dataclass(frozen=True)
class Scores:
    """The scores of n samples, in steps of 2^-20.

    Attributes:
        n: number of samples, at most 2^23.
        sums, squares: of the scores and of their squares, one per class.
        values: the scores of one class, (n,), in the order of drawing; None if none was followed.
    """

    n: int
    sums: Sequence[int]
    squares: Sequence[int]
    values: NDArray[Any] | None = field(default=None, repr=False)

    def mean(self, label: int) -> float:
        """The mean score of a class, in [0, 1], correctly rounded."""
        return self.sums[label] / (self.n * STEPS)

    def variance(self, label: int) -> float:
        """The sample variance of a class's scores, with divisor n - 1, correctly rounded."""
        n, total = self.n, self.sums[label]
        return (n * self.squares[label] - total * total) / (n * (n - 1) * STEPS * STEPS)


@dataclass(frozen=True)
class SoftBound:
    """A certified radius and the two means behind it.

    Attributes:
        radius: in units of sigma, >= 0, rounded toward zero; 0.0 means abstain.
        lower: lower bound on the mean score of the class under test.
        upper: upper bound on the mean score of every other class.
    """

    radius: float
    lower: float
    upper: float


SoftRule = Callable[[Scores, int, float], SoftBound]


def hoeffding(scores: Scores, top: int, alpha: float) -> SoftBound:
    """Radius that exceeds the true one with probability at most `alpha`, from the means alone.

    Args:
        scores: of the estimation samples, for two classes or more.
        top: the class that the selection samples chose.
        alpha: failure probability, in (0, 1).

    Raises:
        ValueError: an argument is out of range.

    Source: Hoeffding 1963; Levine et al. 2019; Salman et al. 2019.
    """
    largest = max(scores.mean(label) for label in _others(scores, top))
    lower = hoeffding_lower(scores.mean(top), scores.n, alpha / 2)
    return _bounded(lower, hoeffding_upper(largest, scores.n, alpha / 2))


def bernstein(scores: Scores, top: int, alpha: float) -> SoftBound:
    """Radius that exceeds the true one with probability at most `alpha`, also from the variances.

    Args, Raises: as `hoeffding`; n >= 2.

    Source: Maurer & Pontil 2009; Levine et al. 2019; Salman et al. 2019.
    """
    mean, variance = scores.mean(top), scores.variance(top)
    lower = empirical_bernstein_lower(mean, variance, scores.n, alpha / 2)
    return _bounded(lower, _bernstein_upper(scores, top, alpha / 2))


def betting(scores: Scores, top: int, alpha: float) -> SoftBound:
    """Radius that exceeds the true one with probability at most `alpha`: the tightest of the three.

    The other classes have Bernstein's bound: bets on each of them would need all scores of each.

    Args, Raises: as `bernstein`; the class under test must have been followed.

    Source: Waudby-Smith & Ramdas 2024; Levine et al. 2019; Salman et al. 2019.
    """
    if scores.values is None or len(scores.values) != scores.n:
        raise ValueError(
            f"Expected {scores.n} scores of the class under test, got others; "
            "follow the class that was selected."
        )
    lower = betting_lower(scores.values / STEPS, alpha / 2)
    return _bounded(lower, _bernstein_upper(scores, top, alpha / 2))


SOFT_BOUNDS: dict[str, SoftRule] = {
    "hoeffding": hoeffding,
    "bernstein": bernstein,
    "betting": betting,
}


def validate_soft_n(n: int, bound: str, alpha: float) -> None:
    """Raise ValueError unless n scores of 1 certify something by that rule at level alpha."""
    if n > MOST:
        raise ValueError(f"Expected n <= {MOST} scores, got n={n}; use a smaller n.")
    if certifies(n, bound, alpha):
        return
    too_few, enough = 1, 2
    while not certifies(enough, bound, alpha):
        too_few, enough = enough, 2 * enough
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if certifies(middle, bound, alpha) else (middle, enough)
    raise ValueError(
        f"Expected n large enough to certify at alpha={alpha} by {bound}, got n={n}; "
        f"{n} scores of 1 would still give no radius: use n >= {enough}."
    )


def certifies(n: int, bound: str, alpha: float) -> bool:
    """Whether n scores of 1 certify something by that rule."""
    if n < 2:
        return False
    best = Scores(n, (n * STEPS, 0), (n * STEPS**2, 0), np.full(n, STEPS))
    return SOFT_BOUNDS[bound](best, 0, alpha).radius > 0


def _others(scores: Scores, top: int) -> list[int]:
    return [label for label in range(len(scores.sums)) if label != top]


def _bernstein_upper(scores: Scores, top: int, alpha: float) -> float:
    return max(
        empirical_bernstein_upper(scores.mean(label), scores.variance(label), scores.n, alpha)
        for label in _others(scores, top)
    )


def _bounded(lower: float, upper: float) -> SoftBound:
    upper = min(upper, float(np.nextafter(1.0 - lower, 1.0)))
    return SoftBound(soft_radius(lower, upper), lower, upper)
