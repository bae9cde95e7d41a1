"""PREDICT: is the class with the most votes the winner? (Hung & Fithian 2019; Cohen, Rosenfeld, Kolter 2019, PREDICT).

Given that a vote went to one of the two leading classes it is a coin toss; the two-sided exact test of a fair coin on
their two counts is valid for any number of classes, although the two classes were chosen by the same votes.
"""

from scipy import special

from rszoo.bounds.binomial import validate_alpha
from rszoo.bounds.looks import predict_looks


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
            f"Expected 0 <= n_runner_up <= n_top, got n_top={n_top}, n_runner_up={n_runner_up}; "
            "pass the two largest counts, the largest first."
        )
    if n_top == n_runner_up:
        return 1.0
    return min(1.0, 2.0 * float(special.betainc(n_top, n_runner_up + 1.0, 0.5)))


def sequential_hung_fithian(n_top: int, n_runner_up: int, *, n: int) -> float:
    """p-value of a look of PREDICT that may stop at any of `predict_looks(n)`.

    Returning the class with the most votes at the first look with p <= alpha, and none if no look has it, returns a wrong
    class with probability at most alpha: each of the K looks does with probability at most alpha / K.

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
    """The smallest n whose unanimous vote is a decision: the smallest n with 2 * (1/2)^n <= alpha.

    Args:
        alpha: failure probability, in (0, 1).

    Raises:
        ValueError: alpha is out of range.

    Source: Hung & Fithian 2019.
    """
    validate_alpha(alpha)
    n = 1
    while 2.0 * 0.5**n > alpha:
        n += 1
    return n
