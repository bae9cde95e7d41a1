"""Which radii of a grid are certified? A sequential test that stops once the votes settle it.

Every r_j of the grid r_1 < r_2 < ... is tested at the full level alpha on the same votes
(`rszoo.bounds.spending`), and r_j is certified once r_1, ..., r_j are all rejected. If one of the
certified radii is wrong, so is the first r_j of the grid with p_A <= Phi(r_j / sigma), and that one
takes a wrong rejection by a single test of level alpha. So the size of the grid needs no
correction, but the grid must be chosen before the votes are drawn (fixed-sequence testing; Maurer,
Hothorn, Lehmacher 1995). One radius is a grid of one.
"""

from dataclasses import KW_ONLY, dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from rszoo.bounds.binomial import validate_n
from rszoo.bounds.spending import critical_values, looks, null_probability, validate_radii
from rszoo.bounds.votes import RadiusBound

Outcome = Literal["continue", "certified", "futile", "undecided"]

# On CIFAR-10 models it saves 7 to 28 % of the samples that 1e-3 takes, and loses at most 1 % of the
# certificates.
FUTILITY = 1e-2
POWER = 1e-2  # benchmarks/adaptive.py --replay prints what it saves and loses against 0


@dataclass(frozen=True)
class RadiusTest:
    """A sequential test of a grid of radii: what it tests, and the votes for A at each look so far.

    If A and all fields but `counts` were chosen without these votes, some certified r has
    p_A <= Phi(r) with probability at most `alpha`, however the test is stopped. All properties are
    functions of the fields, so a stored record can be checked.

        test = RadiusTest((0.5, 1.0), n=100_000, alpha=0.001)
        while test.outcome == "continue":
            test = test.update(votes_for_a_among_the_first(test.next_look))

    Attributes:
        radii: in units of sigma, >= 0, strictly increasing. The rounding of a quotient r / sigma is
            covered.
        n: the most samples that may be drawn; all votes for A must certify something at `alpha`.
        alpha: failure probability, in (0, 1).
        futility: give up once so few votes have less than this probability if p_A = Phi(next
            radius), in [0, 1); 0 never gives up.
        power: give up once the votes are behind those that certify the next radius at n and would
            reach them with less than this probability (`predictive_power`), in [0, 1); 0 never
            gives up.
        counts: votes for A among the first looks(n)[0], looks(n)[1], ... samples.

    Raises:
        ValueError: a field is out of range.

    Source: see the module; Cohen, Rosenfeld, Kolter 2019, Theorem 1 with p_B = 1 - p_A.
    """

    radii: tuple[float, ...]
    _: KW_ONLY
    n: int
    alpha: float
    futility: float = FUTILITY
    power: float = POWER
    counts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        validate_n(self.n, self.alpha)
        validate_radii(self.radii)
        for name, value in (("futility", self.futility), ("power", self.power)):
            if not 0 <= value < 1:
                raise ValueError(
                    f"Expected 0 <= {name} < 1, got {value}; pass a probability such as {FUTILITY}."
                )
        _validate_history(self.counts, looks(self.n))

    @property
    def drawn(self) -> int:
        """How many samples had been drawn at the last look."""
        return (0, *looks(self.n))[len(self.counts)]

    @property
    def next_look(self) -> int:
        """How many samples to have drawn at the next look.

        Raises:
            ValueError: all n samples were drawn.
        """
        if self.drawn == self.n:
            raise ValueError(
                f"Expected a look before n={self.n}, got the votes of all n samples; "
                "stop when outcome says so."
            )
        return looks(self.n)[len(self.counts)]

    def update(self, count: int) -> "RadiusTest":
        """The test after `count` votes for A among the first `next_look` samples.

        Updating after an outcome other than "continue" keeps the level.

        Raises:
            ValueError: the count is impossible after the earlier ones, or all n samples were drawn.
        """
        return replace(self, counts=(*self.counts, count))

    @property
    def certified(self) -> int:
        """How many radii are certified, from the smallest on."""
        for j, r in enumerate(self.radii):
            if not np.any(self.counts >= self._critical(r)[: len(self.counts)]):
                return j
        return len(self.radii)

    @property
    def bound(self) -> RadiusBound:
        """The largest certified radius and the p_lower < p_A that proves it.

        p_lower > 1/2 exactly if something is certified, even radius 0; radius and p_lower are 0 if
        nothing is.
        """
        if not self.certified:
            return RadiusBound(0.0, 0.0, 1.0)
        radius = self.radii[self.certified - 1]
        p_lower = null_probability(radius)
        return RadiusBound(radius, p_lower, 1.0 - p_lower)

    @property
    def outcome(self) -> Outcome:
        """Whether to draw on, or why not.

        "continue": draw. "certified": all radii are. "futile": the test gave up on the next radius,
        for its few votes or because n samples would hardly certify it; this says NO without a
        level. "undecided": the samples left until n cannot certify the next radius, whatever their
        votes.
        """
        if self.certified == len(self.radii):
            return "certified"
        r, k = self.radii[self.certified], len(self.counts)
        samples, count = self.drawn, self.counts[-1] if k else 0
        if futile(r, count, samples, futility=self.futility):
            return "futile"
        critical = self._critical(r)
        if not np.any(critical[k:] <= count - samples + np.asarray(looks(self.n)[k:])):
            return "undecided"
        needed = int(critical[-1])
        behind = self.power and count * self.n < needed * samples
        if behind and predictive_power(needed, count, samples, n=self.n) < self.power:
            return "futile"
        return "continue"

    def _critical(self, r: float) -> NDArray[np.int64]:
        return critical_values(r, n=self.n, alpha=self.alpha)


def futile(radius_in_sigma: float, count: int, samples: int, *, futility: float = FUTILITY) -> bool:
    """Whether P(Bin(samples, Phi(radius_in_sigma)) <= count) < futility: too few votes to go on.

    Never a certificate of non-robustness; giving up can only lower the probability of a false
    rejection.
    """
    if count == samples:
        return False
    p = null_probability(radius_in_sigma)
    return float(special.betaincc(count + 1.0, samples - count, p)) < futility


def predictive_power(needed: int, count: int, samples: int, *, n: int) -> float:
    """P(at least `needed` of n votes are for A | `count` of the first `samples` are).

    The prior of p_A is uniform on [0, 1]. No part of a proof: it says when to give up, which can
    only lower the probability of a false rejection.

    Source: Spiegelhalter, Freedman, Blackburn 1986. A vote is for A if a uniform number lies below
        p_A. So of n + 1 uniform numbers, p_A among them, samples + 1 are seen, and p_A is the
        (count + 1)-th of these: it lies above the `needed` smallest of all if at most `count` of
        those seen are among them, which is a hypergeometric tail.
    """
    return float(stats.hypergeom.cdf(count, n + 1, needed, samples + 1))


def _validate_history(counts: tuple[int, ...], times: tuple[int, ...]) -> None:
    if len(counts) > len(times):
        raise ValueError(
            f"Expected at most {len(times)} counts, got {len(counts)}; stop when outcome says so."
        )
    for time, samples, votes in zip(
        times, np.diff(times, prepend=0), np.diff(counts, prepend=0), strict=False
    ):
        if not (0 <= votes <= samples and votes == int(votes)):
            raise ValueError(
                f"Expected from 0 to {samples} new votes among the first {time} samples, "
                f"got {votes}; "
                "pass the votes for the selected class among ALL samples drawn so far."
            )
