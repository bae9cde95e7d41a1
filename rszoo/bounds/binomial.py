"""Exact one-sided bounds for a binomial probability (Clopper & Pearson 1934), in float64.

    lower(k, n, alpha) = the p with P(Bin(n, p) >= k) = alpha   (0 if k = 0)
    upper(k, n, alpha) = the p with P(Bin(n, p) <= k) = alpha   (1 if k = n)

P(Bin(n, p) >= k) is the regularized incomplete beta function I_p(k, n - k + 1), so the lower bound
is one call of its inverse. In some SciPy releases that inverse was wrong by orders of magnitude for
k near n (SciPy issues 12635, 12796). So every answer is put back into the forward function: this
checks the inverse, and rounds the bounds outward.
"""

from itertools import count
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from rszoo.errors import as_float

Floats = NDArray[np.float64]


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
        ArithmeticError: SciPy's inverse of the incomplete beta function is wrong.

    Source: Clopper & Pearson 1934; LowerConfBound of Cohen, Rosenfeld, Kolter 2019, Section 3.2.
    """
    successes, trials = _validated(k, n, alpha)
    bound = _lower(successes, trials, alpha)
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
    bound: Floats = np.nextafter(1.0 - _lower(trials - successes, trials, alpha), 1.0)
    return float(bound) if bound.ndim == 0 else bound


def minimum_n(alpha: float) -> int:
    """The smallest n whose unanimous vote certifies anything: alpha^(1/n) > 1/2.

    Args:
        alpha: failure probability, in (0, 1).

    Raises:
        ValueError: alpha is out of range.

    Source: Cohen, Rosenfeld, Kolter 2019, Section 3.2 (the bound for n votes out of n).
    """
    validate_alpha(alpha)
    return next(n for n in count(1) if 0.5**n < alpha)  # exact, which alpha ** (1 / n) is not


def validate_alpha(alpha: float, name: str = "alpha") -> None:
    """Raise ValueError unless 0 < alpha < 1."""
    if not 0 < as_float(name, alpha) < 1:
        raise ValueError(
            f"Expected 0 < {name} < 1, got {alpha}; "
            f"pass a failure probability such as {name}=0.001."
        )


def validate_n(n: int, alpha: float) -> None:
    """Raise ValueError unless n unanimous votes certify something at level alpha."""
    smallest = minimum_n(alpha)
    if n < smallest:
        raise ValueError(
            f"Expected n large enough to certify at alpha={alpha}, got n={n}; "
            f"all {n} votes would still give p_lower <= 1/2: use n >= {smallest}."
        )


def _validated(k: ArrayLike, n: ArrayLike, alpha: float) -> tuple[Floats, Floats]:
    """k and n as floats of one shape."""
    validate_alpha(alpha)
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
    a, b = np.maximum(k, 1.0), n - np.maximum(k, 1.0) + 1.0  # k = 0 is replaced at the end
    bound: Floats = np.where(k == n, np.exp(np.log(alpha) / n), special.betaincinv(a, b, alpha))
    worst = float(np.max(np.abs(special.betainc(a, b, bound) - alpha), initial=0.0))
    if not worst <= 1e-6 * alpha:
        raise ArithmeticError(
            f"Expected betainc(betaincinv(alpha)) = {alpha}, got {worst} off; "
            "install scipy>=1.12 or use alpha >= 1e-100."
        )
    step = 2.0**-52
    while np.any(above := special.betainc(a, b, bound) > alpha):  # round down until alpha holds
        bound = np.where(above, bound * (1.0 - step), bound)
        step *= 2.0
    return np.where(k > 0, bound, 0.0)
