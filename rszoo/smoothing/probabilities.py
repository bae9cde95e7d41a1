"""The probability of every class under noise, with intervals that hold all at once. No torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

import numpy as np

from rszoo.bounds import clopper_pearson_lower, clopper_pearson_upper
from rszoo.errors import as_int
from rszoo.smoothing.answers import html_table, plain_values, short
from rszoo.smoothing.requests import Procedure, Request, Setting, Stage

SHOWN = 5


@dataclass(frozen=True, repr=False)
class Probabilities:
    """The share of votes of each class, and an interval for its probability under noise.

    Except with probability at most alpha over the noise, lower <= P(f(x + eps) = c) <= upper for
    every class c at once: each of the two exact bounds of each of K classes fails with probability
    at most alpha / 2K (Clopper & Pearson 1934, and a union bound). So the class to look at may be
    chosen after the votes. With noise "grid" eps is Gaussian noise rounded to steps of 1/255, and
    what its sampling differs from that law is paid for out of alpha.

    Attributes:
        shares: votes over n, one per class; they sum to 1.
        lower, upper: bounds on the probability, one of each per class, rounded outward.
        n: samples drawn.
        alpha: probability that any of the intervals fails.
        sigma, noise, precision, seed, stream, moved: as in `Certificate`.
        counts: votes, one count per class.
        classes: their names; empty where they are not known.
    """

    shares: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    n: int
    alpha: float
    sigma: float
    noise: str
    precision: str
    seed: int
    counts: tuple[int, ...]
    stream: int = 1
    moved: float = 0.0
    classes: tuple[str, ...] = field(default=(), compare=False)

    def named(self, classes: Sequence[str]) -> Self:
        """The same with the names of the classes."""
        return replace(self, classes=tuple(classes))

    def to_dict(self) -> dict[str, object]:
        """All fields as plain values that JSON holds; `pandas.DataFrame` makes a row per class."""
        return plain_values(self) | {"classes": list(self.classes) or None}

    def _rows(self, count: int) -> list[tuple[str, str, str]]:
        """The name, share and interval of the classes with the most votes."""
        names = self.classes or tuple(map(str, range(len(self.shares))))
        order = sorted(range(len(names)), key=lambda label: -self.counts[label])[:count]
        return [
            (
                names[label],
                f"{self.shares[label]:.4f}",
                f"[{short(self.lower[label], 'ROUND_FLOOR')}, "
                f"{short(self.upper[label], 'ROUND_CEILING')}]",
            )
            for label in order
        ]

    def __repr__(self) -> str:
        rows = [f"{name} {share} in {interval}" for name, share, interval in self._rows(SHOWN)]
        more = ", ..." if len(self.shares) > SHOWN else ""
        return f"Probabilities({', '.join(rows)}{more}; n={self.n}, alpha={self.alpha:g})"

    def _repr_html_(self) -> str:
        """The classes with the most votes as a table, for notebooks."""
        interval = f"interval (all at once, alpha={self.alpha:g})"
        header = ("class", f"share of {self.n} votes", interval)
        return html_table([header, *self._rows(2 * SHOWN)])


def estimation(setting: Setting, *, n: int) -> Callable[[], Procedure[Probabilities]]:
    """The procedure of `SmoothedClassifier.probabilities`, to be called once per image.

    Raises:
        ValueError: n < 1, or grid noise leaves nothing of alpha for n samples.
    """
    if (n := as_int("n", n)) < 1:
        raise ValueError(f"Expected n >= 1, got n={n}; draw at least one sample.")
    setting.level(n)
    return partial(estimate, setting, n=n)


def estimate(setting: Setting, *, n: int) -> Procedure[Probabilities]:
    """Intervals from the n samples that PREDICT draws with the same seed."""
    counts = yield Request(Stage.PREDICT, 0, n)
    votes = np.asarray(counts)
    level = setting.level(n) / (2 * len(counts))
    return Probabilities(
        shares=tuple(count / n for count in counts),
        lower=tuple(clopper_pearson_lower(votes, n, level).tolist()),
        upper=tuple(clopper_pearson_upper(votes, n, level).tolist()),
        n=n,
        counts=tuple(counts),
        **setting.facts(),
    )
