"""CERTIFY and PREDICT as procedures: which samples they ask for, and what they conclude from the votes. Pure Python, no torch.

Each is a generator for one image; `rszoo.voting` feeds it with votes.

Source: Cohen, Rosenfeld & Kolter 2019, section 3.2.
"""

from dataclasses import dataclass

from rszoo.bounds import BOUNDS, hung_fithian, l2_radius
from rszoo.certificate import ABSTAIN, Certificate, Prediction
from rszoo.sampling import Stage
from rszoo.voting import Procedure, Request


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
            raise ValueError(f"Expected alpha above the error of the grid noise, got alpha={self.alpha}; use a larger alpha.")
        return level


def certify(setting: Setting, *, n0: int, n: int, bound: str) -> Procedure[Certificate]:
    """n0 samples select a class, n fresh ones bound its probability."""
    selection = yield Request(Stage.SELECT, 0, n0)
    selected = selection.index(max(selection))
    counts = yield Request(Stage.ESTIMATE, 0, n)
    found = BOUNDS[bound](counts, selected, setting.level(n))
    radius = l2_radius(found.radius, setting.sigma)
    return Certificate(
        label=selected if radius > 0 else ABSTAIN,
        radius=radius,
        selected=selected,
        p_lower=found.p_lower,
        p_upper=found.p_upper,
        n0=n0,
        n=n,
        alpha=setting.alpha,
        bound=bound,
        sigma=setting.sigma,
        noise=setting.noise,
        precision=setting.precision,
        seed=setting.seed,
        counts=tuple(counts),
    )


def predict(setting: Setting, *, n: tuple[int, ...]) -> Procedure[list[Prediction]]:
    """A prediction from the first samples of one stream, for each number of samples in n, which ascend."""
    results: list[Prediction] = []
    start, counts = 0, [0]
    for stop in n:
        new = yield Request(Stage.PREDICT, start, stop)
        counts = [old + more for old, more in zip(counts if start else [0] * len(new), new, strict=True)]
        results.append(_prediction(setting, counts, stop))
        start = stop
    return results


def _prediction(setting: Setting, counts: list[int], n: int) -> Prediction:
    runner_up, top = sorted(counts)[-2:]
    p_value = hung_fithian(top, runner_up)
    label = counts.index(top) if p_value <= setting.level(n) else ABSTAIN
    return Prediction(
        label, p_value, n, setting.alpha, setting.sigma, setting.noise, setting.precision, setting.seed, tuple(counts)
    )
