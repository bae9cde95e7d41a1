"""Binomial tails to 40 digits."""

import mpmath as mp


def exact_tail(k: int, n: int, p: float | mp.mpf) -> mp.mpf:
    """P(Bin(n, p) >= k) to 40 digits, by the continued fraction of the incomplete beta function."""
    with mp.workdps(50):
        a, b, x = mp.mpf(k), mp.mpf(n - k + 1), mp.mpf(p)
        if x > (a + 1) / (a + b + 2):
            return 1 - exact_tail(n - k + 1, n, 1 - x)
        log_beta = mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)
        factor = mp.exp(a * mp.log(x) + b * mp.log1p(-x) - log_beta) / a
        c, d = mp.mpf(1), 1 / (1 - (a + b) * x / (a + 1))
        value, m = d, 0
        while abs(c * d - 1) > mp.mpf(10) ** -40:
            m += 1
            even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
            odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
            for term in (even, odd):
                d, c = 1 / (1 + term * d), 1 + term / c
                value *= c * d
        return factor * value
