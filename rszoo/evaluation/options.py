"""What an evaluation is told: the part of its protocol that users choose. The task is the type."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from rszoo.attacks import Plan


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of every evaluation; None is what the entry's recipe says, or else the papers.

    Attributes:
        split: part of the data set.
        start, stop, stride: every stride-th image from start on, below stop; None stops at the end.
        sigma: noise in pixel units, if other than the entry's own.
        alpha: failure probability, per line of the log.
        precision: of the votes, if other than the entry's own.
        seed: of the noise.
        shard: (i, k) for the i-th of k parts of the images, counted from 1.
    """

    split: Literal["train", "test"] | None = None
    start: int = 0
    stop: int | None = None
    stride: int | None = None
    sigma: float | None = None
    alpha: float | None = None
    precision: str | None = None
    seed: int | None = None
    shard: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class CertifyOptions(Options):
    """CERTIFY; see `Options` and `SmoothedClassifier.certify`.

    Attributes:
        n0: samples per image that select the class.
        n: samples per image that bound its probability; the most, with radii or a tolerance.
        bound: the radius rule.
        radii: run the sequential test of these ascending radii, in pixel units.
        tolerance: let the n0 samples choose a smaller n per image, to lose about that much radius,
            in pixel units.
        correct_only: skip the estimate where the n0 samples select a wrong class: such an image
            counts as 0 in certified accuracy anyway.
        power: give up a radius that n samples would certify with less than this probability; None
            is as in `certify`.
    """

    n0: int | None = None
    n: int | None = None
    bound: str | None = None
    radii: Sequence[float] | None = None
    tolerance: float | None = None
    correct_only: bool = False
    power: float | None = None


@dataclass(frozen=True, kw_only=True)
class SoftOptions(Options):
    """CERTIFY with soft votes; see `Options` and `SmoothedClassifier.certify`.

    Attributes:
        n0: samples per image that select the class.
        n: samples per image that bound the mean scores.
        bound: a key of `rszoo.bounds.SOFT_BOUNDS`; None is "betting", whatever the recipe says.
    """

    n0: int | None = None
    n: int | None = None
    bound: str | None = None


@dataclass(frozen=True, kw_only=True)
class PredictOptions(Options):
    """PREDICT; see `Options`.

    Attributes:
        n: samples per image, one number or several ascending ones; None is those of the papers'
            Table 4.
    """

    n: int | Sequence[int] | None = None


@dataclass(frozen=True, kw_only=True)
class AttackOptions(Options):
    """An attack on the true labels, judged by PREDICT; see `Options`.

    Attributes:
        plan: the attack.
        eps: ascending l2 distances, in pixel units.
        n: samples of PREDICT, per line of the log.
        attack_batch: noisy images attacked together; None depends on image shape and device.
    """

    plan: Plan = field(default_factory=Plan)
    eps: Sequence[float] = (0.25, 0.5, 1.0)
    n: int = 1000
    attack_batch: int | None = None


@dataclass(frozen=True, kw_only=True)
class ChallengeOptions:
    """An attack on the certificates in a log, judged by PREDICT.

    Attributes:
        plan: the attack, on the certified class.
        factors: ascending distances, as multiples of the radius.
        n, alpha: samples and failure probability of PREDICT; None is the certificates' alpha.
        start, stop, stride: only these of the log's images.
        seed: of attack and PREDICT.
        attack_batch: noisy images attacked together; None depends on image shape and device.
    """

    plan: Plan = field(default_factory=Plan)
    factors: Sequence[float] = (0.9, 1.0, 1.5, 2.0)
    n: int = 1000
    alpha: float | None = None
    start: int = 0
    stop: int | None = None
    stride: int = 1
    seed: int = 0
    attack_batch: int | None = None


CERTIFY, ATTACK, CHALLENGE = CertifyOptions(), AttackOptions(), ChallengeOptions()
