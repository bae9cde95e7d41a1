"""CERTIFY and PREDICT as procedures: the samples they ask for, and what they conclude. No torch.

A procedure is a generator for one image; `rszoo.smoothing.engine` sends it the votes. Those of
CERTIFY select a class with n0 samples and certify it with fresh ones; they differ in how many, so
each has its own proof that alpha holds (`rszoo.bounds`).

Source: Cohen, Rosenfeld & Kolter 2019, section 3.2; the sequential ones: Lan & DeMets 1983,
Hung & Fithian 2019.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from math import inf

from rszoo.bounds import (
    BOUNDS,
    POWER,
    RadiusTest,
    hung_fithian,
    l2_radius,
    minimum_n_predict,
    predict_looks,
    sequential_hung_fithian,
    two_stage_n,
)
from rszoo.bounds.binomial import validate_n
from rszoo.errors import as_float, as_int, ascending
from rszoo.smoothing.certificate import ABSTAIN, Certificate, Prediction
from rszoo.smoothing.requests import Procedure, Request, Setting, Stage


def certification(
    setting: Setting,
    *,
    n0: int,
    n: int,
    bound: str,
    radius: float | Sequence[float] | None = None,
    tolerance: float | None = None,
    power: float = POWER,
) -> Callable[..., Procedure[Certificate]]:
    """The procedure of `SmoothedClassifier.certify`, to be called once per image.

    Called with `only=label` it ends after the selection if another class is selected.

    Args:
        setting: of all images.
        n0, n, bound, radius, tolerance: as for `SmoothedClassifier.certify`.
        power: as for `RadiusTest`.

    Raises:
        ValueError: as `SmoothedClassifier.certify`.
    """
    if bound not in BOUNDS:
        raise ValueError(f"Unknown bound {bound!r}; use one of {', '.join(BOUNDS)}.")
    n0, n = as_int("n0", n0), as_int("n", n)
    if n0 < 1:
        raise ValueError(f"Expected n0 >= 1, got {n0}; at least one sample must select the class.")
    validate_n(n, setting.alpha)
    setting.level(n)
    if radius is None:
        if tolerance is not None and not as_float("tolerance", tolerance) >= 0:
            raise ValueError(
                f"Expected tolerance >= 0 in pixel units, got {tolerance}; "
                "pass a radius such as 0.05."
            )
        return partial(certify, setting, n0=n0, n=n, bound=bound, tolerance=tolerance)
    if tolerance is not None or bound != "cohen":
        raise ValueError(
            "Expected radius without a tolerance or a bound, got both; "
            "the test of radii has its own rule."
        )
    radii = checked_radii(setting, radius, n=n)
    return partial(certify_radii, setting, n0=n0, n=n, radii=radii, power=power)


def prediction(
    setting: Setting, *, n: int, early: bool = False
) -> Callable[[], Procedure[list[Prediction]]]:
    """The procedure of `SmoothedClassifier.predict`, to be called once per image.

    Raises:
        ValueError: as `SmoothedClassifier.predict`.
    """
    n, least = as_int("n", n), minimum_n_predict(setting.alpha)
    if n < least:
        raise ValueError(
            f"Expected n large enough to decide at alpha={setting.alpha}, got n={n}; "
            f"use n >= {least}."
        )
    setting.level(n)
    return partial(predict_early, setting, n=n) if early else partial(predict, setting, n=(n,))


def checked_radii(
    setting: Setting, radius: float | Sequence[float], *, n: int
) -> tuple[float, ...]:
    """One or several radii, in pixel units, as a grid that n samples can test.

    Raises:
        ValueError: a radius is negative or not finite, they do not ascend, or n votes for one
            class certify none of them.
    """
    numbers = radius if isinstance(radius, Iterable) else [radius]
    radii = () if isinstance(radius, str) else tuple(map(float, numbers))
    if not ascending(radii):
        in_range = radii and all(0 <= value < inf for value in radii)
        remedy = "sort them and leave out repetitions" if in_range else "pass finite radii >= 0"
        raise ValueError(f"Expected ascending radii >= 0 in pixel units, got {radius!r}; {remedy}.")
    if RadiusTest((radii[0] / setting.sigma,), n=n, alpha=setting.level(n)).outcome == "undecided":
        raise ValueError(
            f"Expected a radius that n={n} votes can certify at alpha={setting.alpha} and "
            f"sigma={setting.sigma:g}, got {radius!r}; ask for a smaller one, or take a larger n."
        )
    return radii


def certify(
    setting: Setting,
    *,
    n0: int,
    n: int,
    bound: str,
    tolerance: float | None = None,
    only: int | None = None,
) -> Procedure[Certificate]:
    """n0 samples select a class, n fresh ones bound its probability.

    With a tolerance, in pixel units, the n0 samples also choose how many: as few as are expected to
    lose no more radius than that against n. The estimate uses fresh samples, so the choice costs
    none of alpha. With `only`, the procedure ends after the selection of any other class.
    """
    rule = "fixed" if tolerance is None else "two-stage"
    selected, votes, blank = yield from _select(setting, n0, bound, rule)
    if only not in (None, selected):
        return blank
    if tolerance is not None:
        allowed, alpha = tolerance / setting.sigma, setting.level(n)
        n = two_stage_n(votes, n0, n_max=n, tolerance_in_sigma=allowed, alpha=alpha)
    counts = yield Request(Stage.ESTIMATE, 0, n)
    estimate = BOUNDS[bound](counts, selected, setting.level(n))
    radius = l2_radius(estimate.radius, setting.sigma)
    return replace(
        blank,
        label=selected if radius > 0 else ABSTAIN,
        radius=radius,
        p_lower=estimate.p_lower,
        p_upper=estimate.p_upper,
        n=n,
        counts=tuple(counts),
        stopped="",
    )


def certify_radii(
    setting: Setting,
    *,
    n0: int,
    n: int,
    radii: tuple[float, ...],
    power: float,
    only: int | None = None,
) -> Procedure[Certificate]:
    """Certify the largest possible of ascending radii, in pixel units, with as few of n samples.

    Radius 0 certifies the class at x itself.
    """
    selected, _, blank = yield from _select(setting, n0, "cohen", "sequential")
    if only not in (None, selected):
        return blank
    in_sigma = tuple(radius / setting.sigma for radius in radii)
    test = RadiusTest(in_sigma, n=n, alpha=setting.level(n), power=power)
    counts = list(blank.counts)
    while test.outcome == "continue":
        counts = yield from _more(counts, Request(Stage.ESTIMATE, test.drawn, test.next_look))
        test = test.update(counts[selected])
    certified, bounds = test.certified, test.bound
    return replace(
        blank,
        label=selected if certified else ABSTAIN,
        radius=radii[certified - 1] if certified else 0.0,
        p_lower=bounds.p_lower,
        p_upper=bounds.p_upper,
        n=test.drawn,
        counts=tuple(counts),
        stopped=test.outcome,
        path=test.counts,
    )


def predict(setting: Setting, *, n: tuple[int, ...]) -> Procedure[list[Prediction]]:
    """One prediction per n, in ascending order, each from the first n samples of one stream."""
    predictions: list[Prediction] = []
    counts: list[int] = []
    for start, stop in pairwise((0, *n)):
        counts = yield from _more(counts, Request(Stage.PREDICT, start, stop))
        predictions.append(_prediction(setting, counts, hung_fithian, "fixed", stop))
    return predictions


def predict_early(setting: Setting, *, n: int) -> Procedure[list[Prediction]]:
    """A prediction from as few of n samples as settle it, at the same alpha."""
    counts: list[int] = []
    test = partial(sequential_hung_fithian, n=n)
    for start, stop in pairwise((0, *predict_looks(n))):
        counts = yield from _more(counts, Request(Stage.PREDICT, start, stop))
        answer = _prediction(setting, counts, test, "sequential", n)
        if not answer.abstained:
            break
    return [answer]


def _more(counts: list[int], request: Request) -> Procedure[list[int]]:
    """The counts with the votes of one more request; no counts at all stand for zeros."""
    votes = yield request
    return [old + new for old, new in zip(counts or [0] * len(votes), votes, strict=True)]


def _select(
    setting: Setting, n0: int, bound: str, rule: str
) -> Generator[Request, list[int], tuple[int, int, Certificate]]:
    """The class that n0 samples select, its votes, and a certificate that abstains."""
    votes = yield Request(Stage.SELECT, 0, n0)
    selected = votes.index(max(votes))
    blank = Certificate(
        label=ABSTAIN,
        radius=0.0,
        selected=selected,
        p_lower=0.0,
        p_upper=1.0,
        n0=n0,
        n=0,
        bound=bound,
        counts=(0,) * len(votes),
        rule=rule,
        stopped="other class",
        values=setting.values,
        **setting.facts(),
    )
    return selected, max(votes), blank


def _prediction(
    setting: Setting, counts: list[int], test: Callable[[int, int], float], rule: str, n: int
) -> Prediction:
    """The answer of a test of the two largest counts, at the level that n samples leave."""
    runner_up, top = sorted(counts)[-2:]
    p_value = test(top, runner_up)
    return Prediction(
        label=counts.index(top) if p_value <= setting.level(n) else ABSTAIN,
        p_value=p_value,
        n=sum(counts),
        counts=tuple(counts),
        rule=rule,
        **setting.facts(),
    )
