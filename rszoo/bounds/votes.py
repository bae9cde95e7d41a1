"""What a radius rule takes and returns: votes of the estimation samples in, a `RadiusBound` out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rszoo.bounds.binomial import clopper_pearson_lower, clopper_pearson_upper, validate_n

Counts = Sequence[int] | NDArray[Any]


@dataclass(frozen=True)
class RadiusBound:
    """A certified radius and the two probabilities behind it.

    Attributes:
        radius: in units of sigma, >= 0, rounded toward zero; 0.0 means abstain.
        p_lower: the rule's lower bound on the probability of the top class.
        p_upper: the rule's upper bound on the probability of every other class.
    """

    radius: float
    p_lower: float
    p_upper: float


class Votes(NamedTuple):
    """Validated votes: for the top class, for each other class, and in total."""

    top: int
    others: NDArray[np.int64]
    n: int

    @property
    def runner_up(self) -> int:
        """The largest count among the other classes, N_(2) in the proofs."""
        return int(self.others.max())


def split_votes(counts: Counts, top: int, alpha: float) -> Votes:
    """The votes for `top` and for each other class, validated.

    Args:
        counts: votes of the estimation samples, one whole number >= 0 per class, two classes or
            more.
        top: the class that the selection samples chose, 0 <= top < number of classes.
        alpha: failure probability, in (0, 1).

    Raises:
        ValueError: an argument is out of range, or there are too few votes to certify anything at
            alpha.
    """
    votes = np.asarray(counts)
    if votes.ndim != 1 or votes.size < 2:
        raise ValueError(
            f"Expected the votes of at least 2 classes, got an array of shape {votes.shape}; "
            "pass one count per class, zeros included."
        )
    if np.any(votes != np.floor(votes)) or np.any(votes < 0):
        raise ValueError(
            f"Expected whole numbers of votes >= 0, got {votes.min()}; "
            "pass counts, not frequencies."
        )
    if not 0 <= top < votes.size:
        raise ValueError(
            f"Expected 0 <= top < {votes.size}, got {top}; pass the index of the selected class."
        )
    votes = votes.astype(np.int64)
    n = int(votes.sum())
    validate_n(n, alpha)
    return Votes(int(votes[top]), np.delete(votes, top), n)


def clopper_pearson_radius(votes: Votes, level: float) -> RadiusBound:
    """The radius from both Clopper-Pearson bounds, the top class's and the runner-up's.

    Args:
        votes: validated.
        level: failure probability of each of the two bounds.
    """
    p_lower = clopper_pearson_lower(votes.top, votes.n, level)
    p_upper = clopper_pearson_upper(votes.runner_up, votes.n, level)
    return two_sided(p_lower, p_upper)


def two_sided(p_lower: float, p_upper: float) -> RadiusBound:
    """The radius (z(p_lower) - z(p_upper)) / 2 in units of sigma.

    It is rounded toward zero, even where the two quantiles nearly cancel.
    """
    lower, upper = float(special.ndtri(p_lower)), float(special.ndtri(p_upper))
    cancel = lower * upper > 0  # only quantiles of one sign do
    rounding = 1e-15 * (abs(lower) + abs(upper)) if cancel else 0.0
    return RadiusBound(toward_zero((lower - upper - rounding) / 2), p_lower, p_upper)


def toward_zero(radius: float) -> float:
    """A float below `radius` by more than the rounding of its computation, never negative."""
    return max(0.0, float(np.nextafter(radius * (1.0 - 1e-12), 0.0)))
