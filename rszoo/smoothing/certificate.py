"""What CERTIFY and PREDICT return: a value with the evidence that it came from."""

from dataclasses import dataclass, field

ABSTAIN = -1


@dataclass(frozen=True)
class Certificate:
    """With probability at least 1 - alpha over the noise: g is `label` at every point within `radius` of x, or we abstain.

    Attributes:
        label: the certified class, or `ABSTAIN`.
        radius: l2 distance in pixel units [0, 1], rounded toward zero; 0.0 if abstained.
        selected: the class that the n0 selection samples chose.
        p_lower: lower confidence bound on the probability of `selected` under noise.
        p_upper: upper confidence bound on the probability of every other class.
        n0, n: samples that were taken for selection and for estimation.
        alpha: failure probability.
        bound: the radius rule, a key of `rszoo.bounds.BOUNDS`.
        sigma, noise, precision, seed: the noise's standard deviation and law, the form of the network, the seed.
        counts: votes of the estimation samples, one a class.
        rule: how n came about: "fixed", "two-stage" (chosen by the selection samples), or "sequential" (a test of given radii
            that stops when they are settled).
        stopped: of the sequential rule: "certified" (all radii), "futile" (the next radius was given up: a NO without a level)
            or "undecided" (the samples ran out); "other class" if only one class was of interest and not selected; else "".
        path: of the sequential rule: votes for `selected` at each of its looks.
    """

    label: int
    radius: float
    selected: int
    p_lower: float
    p_upper: float
    n0: int
    n: int
    alpha: float
    bound: str
    sigma: float
    noise: str
    precision: str
    seed: int
    counts: tuple[int, ...] = field(repr=False)
    rule: str = "fixed"
    stopped: str = ""
    path: tuple[int, ...] = field(default=(), repr=False)

    @property
    def abstained(self) -> bool:
        """Whether nothing could be certified."""
        return self.label == ABSTAIN


@dataclass(frozen=True)
class Prediction:
    """With probability at least 1 - alpha over the noise: g(x) is `label`, or we abstain.

    Attributes:
        label: the predicted class, or `ABSTAIN`.
        p_value: of the two-sided test of the two largest counts, times the number of looks if there were several.
        n, alpha, sigma, noise, precision, seed: as in `Certificate`.
        counts: votes, one a class.
        rule: "fixed", or "sequential" if the test stopped as soon as it was settled.
    """

    label: int
    p_value: float
    n: int
    alpha: float
    sigma: float
    noise: str
    precision: str
    seed: int
    counts: tuple[int, ...] = field(repr=False)
    rule: str = "fixed"

    @property
    def abstained(self) -> bool:
        """Whether the vote was too close."""
        return self.label == ABSTAIN
