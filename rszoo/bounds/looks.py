"""Look times: after how many samples a sequential test is read. They depend on n alone, never on the votes."""

from functools import cache

RADIUS_FIRST = 32
PREDICT_FIRST = 16


def looks(n: int) -> tuple[int, ...]:
    """Look times of the test of a radius: 32, then each the last one times 5/4 rounded up, ending with n itself.

    Args:
        n: the most samples that may be drawn, >= 1.

    Returns:
        Increasing numbers of samples; (n,) for n <= 32, 37 looks for n = 100,000.

    Raises:
        ValueError: n < 1.
    """
    return _geometric(RADIUS_FIRST, n, numerator=5, denominator=4)


def predict_looks(n: int) -> tuple[int, ...]:
    """Look times of sequential PREDICT: 16, then each the last one times 3/2 rounded up, ending with n itself.

    Args:
        n: the most samples that may be drawn, >= 1.

    Returns:
        Increasing numbers of samples; (n,) for n <= 16, 23 looks for n = 100,000.

    Raises:
        ValueError: n < 1.
    """
    return _geometric(PREDICT_FIRST, n, numerator=3, denominator=2)


@cache
def _geometric(first: int, n: int, *, numerator: int, denominator: int) -> tuple[int, ...]:
    if n < 1:
        raise ValueError(f"Expected n >= 1, got n={n}; pass the most samples that may be drawn.")
    times, time = [], first
    while time < n:
        times.append(time)
        time = -(-time * numerator // denominator)
    return (*times, n)
