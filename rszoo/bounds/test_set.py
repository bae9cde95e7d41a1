"""Lower bounds on the certified accuracy of a whole test set, from CERTIFY's result per image.

An image is good at radius r if the smoothed classifier is right at every point within r of it.
CERTIFY counts Y of m images: those with the right class and a radius of at least r. An image that
is not good is counted with probability at most alpha, whatever the others do, so Y minus the number
of good images is at most a binomial variable. This takes noise that is independent from image to
image; without it only Markov's inequality is left.
"""

import math
from functools import lru_cache

import numpy as np
from scipy import special

from rszoo.bounds.binomial import validate_alpha

ROUNDING = 1 - 1e-9  # betainc is good to about 1e-12; thresholds move to the safe side by more


def certified_accuracy_lower(certified: int, images: int, *, alpha: float, rho: float) -> float:
    """Lower bound that exceeds the share of good images at one radius with probability <= `rho`.

    With g good images, Y <= g + Bin(images - g, alpha); the bound is the smallest g under which Y
    is no surprise: P(Bin(images - g, alpha) >= Y - g) > rho. That probability increases with g. It
    is at most P(Bin(images, alpha) >= Y - g), so g >= Y - q with the q of `overstated_images`: the
    bound at one radius is never below the one at all radii at once.

    Args:
        certified: Y, the images with the right class and a large enough radius, from 0 to `images`.
        images: m, the size of the test set, >= 1.
        alpha: failure probability of CERTIFY per image, in (0, 1).
        rho: failure probability of this bound, in (0, 1).

    Returns:
        g / images in [0, certified / images].

    Raises:
        ValueError: an argument is out of range.

    Source: the inversion of the binomial test; the setting of Cohen, Rosenfeld, Kolter 2019,
        Appendix D.
    """
    _validate(certified, images, alpha, rho)
    most = min(certified, overstated_images(images, alpha=alpha, rho=rho))
    bad = np.arange(most, 0, -1.0)  # counted, but not good: certified - g
    surprise = special.betainc(bad, images - certified + 1.0, alpha)
    good = np.flatnonzero(surprise > rho * ROUNDING)
    return (certified - (float(bad[good[0]]) if good.size else 0.0)) / images


def certified_accuracy_lower_bernstein(
    certified: int, images: int, *, alpha: float, rho: float
) -> float:
    """As `certified_accuracy_lower`, by Bernstein's inequality: smaller, and for alpha <= 1/2 only.

    Returns:
        (Y/m - alpha - sqrt(2 alpha (1 - alpha) ln(1/rho) / m) - ln(1/rho) / (3 m)) / (1 - alpha),
        at least 0.

    Raises:
        ValueError: an argument is out of range.

    Source: Cohen, Rosenfeld, Kolter 2019, Theorem 6.
    Differs from the authors' code in: the factor 2 under the root and the division by 1 - alpha,
        which theirs leaves out (without the 2 its bound fails with probability above rho).
    """
    _validate(certified, images, alpha, rho)
    if alpha > 0.5:
        raise ValueError(f"Expected alpha <= 1/2, got {alpha}; use certified_accuracy_lower.")
    log = math.log(1 / rho)
    slack = alpha + math.sqrt(2 * alpha * (1 - alpha) * log / images) + log / (3 * images)
    return max(0.0, (certified / images - slack) / (1 - alpha) - 1e-12)


def surprise(count: int, images: int, *, alpha: float) -> float:
    """Upper bound on the probability of `count` or more failures among `images` images.

    Args:
        count: failures, 0 <= count <= images.
        images: number of images, >= 1.
        alpha: upper bound on the failure probability of each, whatever the others do; 1 and above
            bound nothing.

    Returns:
        P(Bin(images, alpha) >= count), rounded up; 1.0 for no failures.

    Raises:
        ValueError: an argument is out of range.

    Source: the binomial tail.
    """
    if not 0 <= count <= images or images < 1 or not alpha > 0:
        raise ValueError(
            "Expected 0 <= count <= images, images >= 1, alpha > 0, "
            f"got {count}, {images}, {alpha}; pass numbers of images."
        )
    if count == 0 or alpha >= 1:
        return 1.0
    return min(1.0, float(special.betainc(count, images - count + 1.0, alpha)) / ROUNDING)


@lru_cache(maxsize=64)
def overstated_images(images: int, *, alpha: float, rho: float) -> int:
    """The q that the number of images with an overstated radius exceeds with probability <= `rho`.

    Hence Y(r) - q good images bound the whole curve, at all radii at once.

    Args:
        images: m, the size of the test set, >= 1.
        alpha: failure probability of CERTIFY per image, in (0, 1).
        rho: failure probability of this bound, in (0, 1).

    Returns:
        The smallest q with P(Bin(images, alpha) > q) <= rho.

    Raises:
        ValueError: an argument is out of range.

    Source: the failures of independent images are at most Bin(m, alpha) in number.
    """
    _validate(0, images, alpha, rho)
    q = np.arange(images)
    enough = np.flatnonzero(special.betainc(q + 1.0, images - q, alpha) <= rho * ROUNDING)
    return int(enough[0]) if enough.size else images


def _validate(certified: int, images: int, alpha: float, rho: float) -> None:
    validate_alpha(alpha)
    validate_alpha(rho, name="rho")
    if not 0 <= certified <= images or images < 1:
        raise ValueError(
            "Expected 0 <= certified <= images and images >= 1, "
            f"got {certified} and {images}; pass numbers of images."
        )
