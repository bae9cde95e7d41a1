"""What CERTIFY and PREDICT return: the answer and the evidence for it."""

from dataclasses import dataclass, field

from rszoo.smoothing.answers import ABSTAIN, Answer

__all__ = ["ABSTAIN", "Certificate", "Prediction", "SoftCertificate"]


class _Ball(Answer):
    """What every certificate can be asked."""

    radius: float
    values: int

    @property
    def implied_linf(self) -> float:
        """The l-infinity radius that the l2 radius implies, rounded toward zero.

        Raises:
            ValueError: the number of values of the image is not known.

        Source: Salman et al. 2019, section 4.
        """
        from rszoo.bounds import implied_linf  # scipy is slow to import

        return implied_linf(self.radius, self.values)

    def to_dict(self) -> dict[str, object]:
        """All fields and `implied_linf` as plain values that JSON holds; tuples become lists.

        `implied_linf` is None where the number of values of the image is not known.
        """
        return super().to_dict() | {"implied_linf": self.implied_linf if self.values else None}


@dataclass(frozen=True, repr=False)
class Certificate(_Ball):
    """g is `label` at every point within `radius` of x, or CERTIFY abstained.

    A wrong certificate has probability at most alpha over the noise. With noise "grid" it holds for
    the program as it runs; with "float" up to floating-point effects: a network that reads the low
    bits of its input can contradict it.

    Attributes:
        label: the certified class, or `ABSTAIN`.
        radius: l2 distance in pixel units [0, 1], rounded toward zero; 0.0 if abstained.
        selected: the class with the most votes among the n0 selection samples.
        p_lower: lower confidence bound on the probability of `selected` under noise.
        p_upper: upper confidence bound on the probability of every other class.
        n0, n: samples drawn for selection and for estimation.
        alpha: failure probability.
        bound: the radius rule, a key of `rszoo.bounds.BOUNDS`.
        sigma, noise: standard deviation of the noise, and its law, "float" or "grid".
        precision: the arithmetic in which the network voted.
        seed: of the noise.
        stream: version of the noise's stream, which seed and image address.
        moved: l2 distance from x to the 8-bit image that was certified in its place, rounded up;
            0.0 where x itself was. Only grid noise needs 8-bit images.
        counts: votes of the estimation samples, one count per class.
        rule: how n was chosen: "fixed", "two-stage" (by the selection samples), or "sequential" (a
            test of given radii that stops once they are settled).
        stopped: why the sequential rule stopped: "certified" (all radii), "futile" (it gave up on
            the next radius: a NO without a level) or "undecided" (no samples were left). "other
            class" if only one class was of interest and another was selected; else "".
        path: of the sequential rule: votes for `selected` at each look.
        values: C H W, the number of values of the image; 0 where it is not known.
        class_name: the classifier's name of the class `label`; None if abstained, or if the names
            are not known.
    """

    SHORT = ("radius", "selected", "p_lower", "n", "alpha", "sigma")

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
    counts: tuple[int, ...]
    rule: str = "fixed"
    stopped: str = ""
    path: tuple[int, ...] = ()
    stream: int = 1
    moved: float = 0.0
    values: int = 0
    class_name: str | None = field(default=None, compare=False)

    @property
    def guarantee(self) -> str:
        """What the certificate says and how far, in one sentence."""
        if self.abstained:
            return "No class is certified: the votes suffice for none."
        return _sentence(self, "the smoothed classifier answers")


@dataclass(frozen=True, repr=False)
class SoftCertificate(_Ball):
    """The classifier of mean scores is `label` within `radius` of x, or the soft CERTIFY abstained.

    It answers with the class whose softmax output has the largest mean under noise: another
    classifier than the majority vote g of `Certificate`, so the radii of the two do not compare.
    A wrong certificate has probability at most alpha over the noise.

    Attributes:
        label, radius, n0, n, alpha, sigma, noise, precision, seed, stream, moved, values,
            class_name: as in `Certificate`.
        selected: the class with the largest mean score over the n0 selection samples.
        means: of the scores of the estimation samples, one per class.
        lower: lower confidence bound on the mean score of `selected` under noise.
        upper: upper confidence bound on that of every other class.
        bound: a key of `rszoo.bounds.SOFT_BOUNDS`.
    """

    SHORT = ("radius", "selected", "lower", "upper", "n", "alpha", "sigma")

    label: int
    radius: float
    selected: int
    means: tuple[float, ...]
    lower: float
    upper: float
    n0: int
    n: int
    alpha: float
    bound: str
    sigma: float
    noise: str
    precision: str
    seed: int
    stream: int
    values: int
    moved: float = 0.0
    class_name: str | None = field(default=None, compare=False)

    @property
    def guarantee(self) -> str:
        """What the certificate says and how far, in one sentence."""
        if self.abstained:
            return "No class is certified: the scores suffice for none."
        subject = "the class with the largest mean score under noise (not the majority vote) is"
        return _sentence(self, subject)


@dataclass(frozen=True, repr=False)
class Prediction(Answer):
    """g(x) is `label`, or PREDICT abstained.

    A wrong label has probability at most alpha over the noise.

    Attributes:
        label: the predicted class, or `ABSTAIN`.
        p_value: of the two-sided test of the two largest counts, times the number of looks if
            there were several.
        n, alpha, sigma, noise, precision, seed, stream, moved, class_name: as in `Certificate`.
        counts: votes, one count per class.
        rule: "fixed", or "sequential" if the test stopped as soon as it was settled.
    """

    SHORT = ("p_value", "n", "alpha", "sigma")

    label: int
    p_value: float
    n: int
    alpha: float
    sigma: float
    noise: str
    precision: str
    seed: int
    counts: tuple[int, ...]
    rule: str = "fixed"
    stream: int = 1
    moved: float = 0.0
    class_name: str | None = field(default=None, compare=False)


def _sentence(certificate: Certificate | SoftCertificate, subject: str) -> str:
    """The guarantee of a certificate, about the subject."""
    reach = {
        "float": "up to the floating-point effects of noise and addition",
        "grid": "for the program as it runs, floating point included",
    }
    name = certificate.class_name  # by default the label's number
    named = "" if name in (None, str(certificate.label)) else f" ({name})"
    at = "the 8-bit image nearest to x" if certificate.moved else "x"
    return (
        f"Except with probability at most {certificate.alpha:g} over the noise, {subject} "
        f"{certificate.label}{named} at every image closer than {certificate.radius!r} (l2, pixels "
        f"in [0, 1]) to {at}, {reach[certificate.noise]}."
    )
