"""CERTIFY and PREDICT as procedures: which samples they ask for, and what they conclude from the votes. Pure Python, no torch.

Each is a generator for one image; `rszoo.smoothing.engine` feeds it with votes. All select a class with n0 samples and certify it with
others; they differ in how many others, so each has its own proof that alpha holds (`rszoo.bounds`).

Source: Cohen, Rosenfeld & Kolter 2019, section 3.2; the sequential ones: Lan & DeMets 1983, Hung & Fithian 2019.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf

from rszoo.bounds import (
    BOUNDS,
    RadiusTest,
    hung_fithian,
    l2_radius,
    predict_looks,
    sequential_hung_fithian,
    two_stage_n,
)
from rszoo.smoothing.certificate import ABSTAIN, Certificate, Prediction
from rszoo.smoothing.requests import Procedure, Request, Stage


@dataclass(frozen=True)
class Setting:
    """What all images of a call share.

    Attributes:
        alpha: failure probability, for each image.
        sigma, noise, precision, seed: as in `Certificate`.
        loss: total variation between a sample's noise and its stated law, taken off alpha once a sample.
    """

    alpha: float
    sigma: float
    noise: str
    precision: str
    seed: int
    loss: float

    def level(self, n: int) -> float:
        """What is left of alpha for the statistics of n samples."""
        level = self.alpha - n * self.loss
        if level <= 0:
            raise ValueError(
                f"Expected alpha above the error of the grid noise, got alpha={self.alpha}; use a larger alpha."
            )
        return level


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

    With a tolerance, in pixel units, the n0 samples also choose how many: as few as are expected to lose no more radius than
    that against n. The estimate is from fresh samples, so the choice costs no level. With `only`, another class than that ends
    it after the selection.
    """
    selected, votes, blank = yield from _select(
        setting, n0, bound, rule="fixed" if tolerance is None else "two-stage"
    )
    if only not in (None, selected):
        return blank
    if tolerance is not None:
        level = setting.level(n)
        n = two_stage_n(
            votes, n0, n_max=n, tolerance_in_sigma=tolerance / setting.sigma, alpha=level
        )
    counts = yield Request(Stage.ESTIMATE, 0, n)
    found = BOUNDS[bound](counts, selected, setting.level(n))
    radius = l2_radius(found.radius, setting.sigma)
    return replace(
        blank,
        label=selected if radius > 0 else ABSTAIN,
        radius=radius,
        p_lower=found.p_lower,
        p_upper=found.p_upper,
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
    """The largest of ascending radii, in pixel units, that is certified; as few of the n samples as settle it.

    Radius 0 certifies the class at x itself.
    """
    selected, _, blank = yield from _select(setting, n0, "cohen", rule="sequential")
    if only not in (None, selected):
        return blank
    test = RadiusTest(
        tuple(radius / setting.sigma for radius in radii), n=n, alpha=setting.level(n), power=power
    )
    counts = [0] * len(blank.counts)
    while test.outcome == "continue":
        new = yield Request(Stage.ESTIMATE, test.drawn, test.next_look)
        counts = [old + more for old, more in zip(counts, new, strict=True)]
        test = test.update(counts[selected])
    found = test.bound
    return replace(
        blank,
        label=selected if test.certified else ABSTAIN,
        radius=radii[test.certified - 1] if test.certified else 0.0,
        p_lower=found.p_lower,
        p_upper=found.p_upper,
        n=test.drawn,
        counts=tuple(counts),
        stopped=test.outcome,
        path=test.counts,
    )


def checked_radii(
    setting: Setting, radius: float | Sequence[float], *, n: int
) -> tuple[float, ...]:
    """Radii, in pixel units, as a grid that can be tested.

    Raises:
        ValueError: a radius is negative or not finite, they do not ascend, or n votes for one class certify none of them.
    """
    radii = (
        ()
        if isinstance(radius, str)
        else tuple(map(float, radius if isinstance(radius, Iterable) else [radius]))
    )
    if (
        not radii
        or not all(0 <= each < inf for each in radii)
        or any(b <= a for a, b in pairwise(radii))
    ):
        raise ValueError(
            f"Expected ascending radii >= 0 in pixel units, got {radius!r}; sort them and leave out repetitions."
        )
    if RadiusTest((radii[0] / setting.sigma,), n=n, alpha=setting.level(n)).outcome == "undecided":
        raise ValueError(
            f"Expected a radius that n={n} votes can certify at alpha={setting.alpha} and sigma={setting.sigma:g}, got "
            f"{radius!r}; ask for a smaller one, or take a larger n."
        )
    return radii


def predict(setting: Setting, *, n: tuple[int, ...]) -> Procedure[list[Prediction]]:
    """A prediction from the first samples of one stream, for each number of samples in n, which ascend."""
    results: list[Prediction] = []
    counts: list[int] = []
    for start, stop in zip((0, *n), n, strict=False):
        new = yield Request(Stage.PREDICT, start, stop)
        counts = [old + more for old, more in zip(counts or [0] * len(new), new, strict=True)]
        runner_up, top = sorted(counts)[-2:]
        results.append(
            _prediction(
                setting, counts, hung_fithian(top, runner_up), "fixed", level=setting.level(stop)
            )
        )
    return results


def predict_early(setting: Setting, *, n: int) -> Procedure[list[Prediction]]:
    """A prediction from as few of n samples as settle it, at the same alpha."""
    counts: list[int] = []
    looks = predict_looks(n)
    for start, stop in zip((0, *looks), looks, strict=False):
        new = yield Request(Stage.PREDICT, start, stop)
        counts = [old + more for old, more in zip(counts or [0] * len(new), new, strict=True)]
        runner_up, top = sorted(counts)[-2:]
        found = _prediction(
            setting,
            counts,
            sequential_hung_fithian(top, runner_up, n=n),
            "sequential",
            level=setting.level(n),
        )
        if not found.abstained:
            break
    return [found]


def _select(
    setting: Setting, n0: int, bound: str, *, rule: str
) -> Generator[Request, list[int], tuple[int, int, Certificate]]:
    """The class that n0 samples select, their votes for it, and the certificate that says no more than that."""
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
        alpha=setting.alpha,
        bound=bound,
        sigma=setting.sigma,
        noise=setting.noise,
        precision=setting.precision,
        seed=setting.seed,
        counts=(0,) * len(votes),
        rule=rule,
        stopped="other class",
    )
    return selected, max(votes), blank


def _prediction(
    setting: Setting, counts: list[int], p_value: float, rule: str, *, level: float
) -> Prediction:
    return Prediction(
        label=counts.index(max(counts)) if p_value <= level else ABSTAIN,
        p_value=p_value,
        n=sum(counts),
        alpha=setting.alpha,
        sigma=setting.sigma,
        noise=setting.noise,
        precision=setting.precision,
        seed=setting.seed,
        counts=tuple(counts),
        rule=rule,
    )
