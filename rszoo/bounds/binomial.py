"""Exact one-sided bounds for a binomial probability (Clopper & Pearson 1934), in float64.

    lower(k, n, alpha) = the p with P(Bin(n, p) >= k) = alpha   (0 if k = 0)
    upper(k, n, alpha) = the p with P(Bin(n, p) <= k) = alpha   (1 if k = n)

P(Bin(n, p) >= k) is the regularized incomplete beta function I_p(k, n - k + 1). SciPy's inverse of
it is good to 6 digits only where n is large, and was wrong by orders of magnitude in some releases
(SciPy issues 12635, 12796). So the inverse only starts a bisection on the forward function, and
what this finds is lowered by more than the forward function's error: the bound holds, and is
close, whatever the inverse returned.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from rszoo.errors import as_float

Floats = NDArray[np.float64]
Bits = NDArray[np.int64]
"""Floats from 0 to 1, read as integers: these number them in order."""

ONE = int(np.float64(1.0).view(np.int64))
EPS = 2.0**-52
SMALLEST_ALPHA = 1e-200  # below 1e-270, SciPy's betainc underflows on its way and is wrong


@overload
def clopper_pearson_lower(k: int, n: int, alpha: float) -> float: ...
@overload
def clopper_pearson_lower(k: NDArray[Any], n: int | NDArray[Any], alpha: float) -> Floats: ...
def clopper_pearson_lower(k: ArrayLike, n: ArrayLike, alpha: float) -> float | Floats:
    """Lower bound that exceeds the true probability with probability at most `alpha`.

    Args:
        k: successes, 0 <= k <= n; an integer or an array of them.
        n: trials, n >= 1; an integer or an array that broadcasts against `k`.
        alpha: failure probability of this one side, in (0, 1).

    Returns:
        The bound in [0, 1), rounded down: a float for scalars, else an array.

    Raises:
        ValueError: an argument is out of range.

    Source: Clopper & Pearson 1934; LowerConfBound of Cohen, Rosenfeld, Kolter 2019, Section 3.2.
    """
    successes, trials = _validated(k, n, alpha)
    bound = _lower(successes, trials, float(alpha))
    return float(bound) if bound.ndim == 0 else bound


@overload
def clopper_pearson_upper(k: int, n: int, alpha: float) -> float: ...
@overload
def clopper_pearson_upper(k: NDArray[Any], n: int | NDArray[Any], alpha: float) -> Floats: ...
def clopper_pearson_upper(k: ArrayLike, n: ArrayLike, alpha: float) -> float | Floats:
    """Upper bound that is below the true probability with probability at most `alpha`.

    Args, Raises: as `clopper_pearson_lower`.

    Returns:
        The bound in (0, 1], rounded up: a float for scalars, else an array.

    Source: Clopper & Pearson 1934.
    """
    successes, trials = _validated(k, n, alpha)
    bound: Floats = np.nextafter(1.0 - _lower(trials - successes, trials, float(alpha)), 1.0)
    return float(bound) if bound.ndim == 0 else bound


def minimum_n(alpha: float) -> int:
    """The smallest n whose unanimous vote certifies anything: alpha^(1/n), rounded down, > 1/2.

    Args:
        alpha: failure probability, in (0, 1).

    Raises:
        ValueError: alpha is out of range.

    Source: Cohen, Rosenfeld, Kolter 2019, Section 3.2 (the bound for n votes out of n).
    """
    validate_alpha(alpha)
    return _minimum_n(float(alpha))


@lru_cache
def _minimum_n(alpha: float) -> int:
    exact = next(n for n in count(1) if 0.5**n < alpha)  # alpha ** (1 / n) is rounded
    return next(n for n in count(exact) if clopper_pearson_lower(n, n, alpha) > 0.5)


def validate_alpha(alpha: float, name: str = "alpha", *, least: float = SMALLEST_ALPHA) -> None:
    """Raise ValueError unless 0 < alpha < 1, and tails of that size are computed right."""
    if not 0 < as_float(name, alpha) < 1:
        raise ValueError(
            f"Expected 0 < {name} < 1, got {alpha}; "
            f"pass a failure probability such as {name}=0.001."
        )
    if alpha < least:
        raise ValueError(f"Expected {name} >= {least}, got {alpha}; pass a larger one.")


def validate_n(n: int, alpha: float) -> None:
    """Raise ValueError unless n unanimous votes certify something at level alpha."""
    smallest = minimum_n(alpha)
    if n < 1:
        raise ValueError(f"Expected n >= 1, got n={n}; use n >= {smallest}.")
    if n < smallest:
        raise ValueError(
            f"Expected n large enough to certify at alpha={alpha}, got n={n}; "
            f"all {n} votes would still give p_lower <= 1/2: use n >= {smallest}."
        )


def _validated(k: ArrayLike, n: ArrayLike, alpha: float) -> tuple[Floats, Floats]:
    """k and n as floats of one shape."""
    validate_alpha(alpha, least=SMALLEST_ALPHA * 1e-20)  # rules divide theirs
    successes, trials = np.broadcast_arrays(
        np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    )
    good = (successes >= 0) & (successes <= trials) & (trials >= 1)
    good &= (successes == np.floor(successes)) & (trials == np.floor(trials))
    if not good.all():
        bad = int(np.argmin(good))
        raise ValueError(
            "Expected whole numbers 0 <= k <= n and n >= 1, "
            f"got k={successes.flat[bad]:g}, n={trials.flat[bad]:g}; "
            "pass the number of successes and the number of trials."
        )
    return successes, trials


def _lower(k: Floats, n: Floats, alpha: float) -> Floats:
    a = np.maximum(k, 1.0)  # k = 0 is replaced at the end
    p = _Tails(a.ravel(), (n - a + 1.0).ravel(), alpha).largest().reshape(a.shape)
    error = betainc_error(p, alpha)
    if alpha <= 0.5:  # the tail is p^n for k = n, and never computed from a rounded 1 - p
        error = np.where(k == n, 0.0, error) + EPS * p
    else:
        error += EPS
    return np.where(k > 0, np.maximum(np.nextafter(p - error, 0.0), 0.0), 0.0)


def betainc_error(p: ArrayLike, alpha: float) -> Floats:
    """More than the error of SciPy's betainc or betaincc where it is alpha, as a change of p.

    Compared with 50 digits for n <= 10^9, their error divided by the derivative by p was at most
    half as large. Where they start from 1 - p, that is, right of the mean, its rounding comes on
    top, up to EPS.
    """
    return EPS * (16.0 - math.log(alpha)) * np.minimum(p, np.subtract(1.0, p))


@dataclass(frozen=True)
class _Tails:
    """P(Bin(n, p) >= k) = I_p(a, b) as functions of p, one per element of a and b, (N,)."""

    a: Floats
    b: Floats
    alpha: float

    def largest(self) -> Floats:
        """The largest p whose tail is computed as <= alpha."""
        start = np.nan_to_num(special.betaincinv(self.a, self.b, self.alpha), nan=0.5)
        bits = np.clip(start, 0.0, 1.0).view(np.int64)
        low, high = self._moved(bits, -4, until=True), self._moved(bits, 4, until=False)
        while (left := np.flatnonzero(high - low > 1)).size:
            middle = (low[left] + high[left]) // 2
            passes = self._passes(middle, left)
            low[left[passes]], high[left[~passes]] = middle[passes], middle[~passes]
        return low.view(np.float64)

    def _moved(self, bits: Bits, step: int, *, until: bool) -> Bits:
        """Each p moved, in growing steps, until its tail passes, or does not."""
        moved, left = bits.copy(), np.arange(bits.size)
        while left.size:
            moved[left] = np.clip(moved[left] + step, 0, ONE)
            left = left[self._passes(moved[left], left) != until]
            step *= 16
        return moved

    def _passes(self, bits: Bits, index: Bits) -> NDArray[np.bool_]:
        arguments = self.a[index], self.b[index], bits.view(np.float64)
        if self.alpha <= 0.5:
            return special.betainc(*arguments) <= self.alpha  # type: ignore[no-any-return]
        return special.betaincc(*arguments) >= 1.0 - self.alpha  # type: ignore[no-any-return]
