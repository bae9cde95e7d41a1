"""PREDICT: is the class with the most votes the most probable one? At one look, or at many.

Given that a vote went to one of the two leading classes, which of the two got it is a coin toss.
The two-sided exact test of a fair coin on their two counts is valid for any number of classes,
although the same votes chose the two classes (Hung & Fithian 2019; PREDICT of Cohen, Rosenfeld,
Kolter 2019).
"""

from itertools import count

from scipy import special

from rszoo.bounds.binomial import validate_alpha
from rszoo.bounds.spending import geometric_looks


def hung_fithian(n_top: int, n_runner_up: int) -> float:
    """p-value of "the class with the most votes is not the most probable class".

    Returning that class only if p <= alpha returns a wrong class with probability at most alpha.

    Args:
        n_top: the largest count.
        n_runner_up: the second largest count, 0 <= n_runner_up <= n_top.

    Returns:
        min(1, 2 P(Bin(n_top + n_runner_up, 1/2) >= n_top)); 1.0 for a tie and for no votes.

    Raises:
        ValueError: the counts are negative or in the wrong order.

    Source: Hung & Fithian 2019; Cohen, Rosenfeld, Kolter 2019, Section 3.2.1 and Appendix C.1.
    """
    if not 0 <= n_runner_up <= n_top:
        raise ValueError(
            "Expected 0 <= n_runner_up <= n_top, "
            f"got n_top={n_top}, n_runner_up={n_runner_up}; "
            "pass the two largest counts, the largest first."
        )
    if n_top == n_runner_up:
        return 1.0
    return min(1.0, 2.0 * float(special.betainc(n_top, n_runner_up + 1.0, 0.5)))


def predict_looks(n: int) -> tuple[int, ...]:
    """Look times of sequential PREDICT: 16, growing by 3/2 (rounded up) until n itself.

    They depend on n alone, never on the votes.

    Args:
        n: the most samples that may be drawn, >= 1.

    Returns:
        Increasing numbers of samples; (n,) for n <= 16, 23 looks for n = 100,000.

    Raises:
        ValueError: n < 1.
    """
    return geometric_looks(16, n, numerator=3, denominator=2)


def sequential_hung_fithian(n_top: int, n_runner_up: int, *, n: int) -> float:
    """p-value at one look of PREDICT, which may stop at any of `predict_looks(n)`.

    Return the class with the most votes at the first look with p <= alpha, and none if there is no
    such look: that returns a wrong class with probability at most alpha, as each of the K looks
    does with probability at most alpha / K.

    Args:
        n_top: the largest count among the samples so far.
        n_runner_up: the second largest, 0 <= n_runner_up <= n_top.
        n: the most samples that may be drawn, >= 1.

    Returns:
        min(1, K hung_fithian(n_top, n_runner_up)), K = len(predict_looks(n)).

    Raises:
        ValueError: the counts are negative or in the wrong order, or n < 1.

    Source: Hung & Fithian 2019, with a union bound over the looks.
    """
    return min(1.0, len(predict_looks(n)) * hung_fithian(n_top, n_runner_up))


def minimum_n_predict(alpha: float) -> int:
    """The smallest n whose unanimous vote is a decision: 2 * (1/2)^n <= alpha.

    Args:
        alpha: failure probability, in (0, 1).

    Raises:
        ValueError: alpha is out of range.

    Source: Hung & Fithian 2019.
    """
    validate_alpha(alpha)
    return next(n for n in count(1) if 2.0 * 0.5**n <= alpha)
