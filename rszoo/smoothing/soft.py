"""CERTIFY for soft smoothing, as a procedure: scores instead of votes. No torch.

The same two steps: n0 samples select a class, n fresh ones bound its mean score and the others'.
What is certified is argmax_c E F_c(x + noise), F_c the softmax: another classifier than the
majority vote.

Source: Levine et al. 2019; Salman et al. 2019, Lemma 2; the bounds name their own.
"""

from collections.abc import Callable, Sequence
from functools import partial

from rszoo.bounds import SOFT_BOUNDS, l2_radius
from rszoo.bounds.scores import validate_soft_n
from rszoo.errors import as_int
from rszoo.smoothing import procedures
from rszoo.smoothing.certificate import ABSTAIN, Certificate, SoftCertificate
from rszoo.smoothing.requests import Procedure, Request, Setting, SoftProcedure, Stage

USUAL = "betting"


Either = Certificate | SoftCertificate


def certification(
    setting: Setting,
    *,
    votes: str,
    n0: int,
    n: int,
    bound: str | None,
    radius: float | Sequence[float] | None,
    tolerance: float | None,
) -> Callable[[], Procedure[Either] | SoftProcedure[Either]]:
    """The procedure of `SmoothedClassifier.certify`, to be called once per image.

    Args, Raises: as `SmoothedClassifier.certify`.
    """
    if votes == "hard":
        bound = bound or "cohen"
        return procedures.certification(
            setting, n0=n0, n=n, bound=bound, radius=radius, tolerance=tolerance
        )
    if votes != "soft":
        raise ValueError(f"Expected votes 'hard' or 'soft', got {votes!r}; choose one of these.")
    if (radius, tolerance) != (None, None):
        raise ValueError(
            "Expected soft votes without radius and tolerance, got one of them; "
            "leave it out, or take hard votes."
        )
    return soft_certification(setting, n0=n0, n=n, bound=bound)


def soft_certification(
    setting: Setting, *, n0: int, n: int, bound: str | None = None
) -> Callable[[], SoftProcedure[SoftCertificate]]:
    """The procedure with votes="soft", to be called once per image.

    Args:
        setting: of all images.
        n0, n, bound: as for `SmoothedClassifier.certify`.

    Raises:
        ValueError: as `SmoothedClassifier.certify`.
    """
    if (bound := bound or USUAL) not in SOFT_BOUNDS:
        raise ValueError(
            f"Unknown bound {bound!r} for soft votes; use one of {', '.join(SOFT_BOUNDS)}."
        )
    n0, n = as_int("n0", n0), as_int("n", n)
    if n0 < 1:
        raise ValueError(f"Expected n0 >= 1, got {n0}; at least one sample must select the class.")
    validate_soft_n(n, bound, setting.level(n))
    return partial(certify_soft, setting, n0=n0, n=n, bound=bound)


def certify_soft(
    setting: Setting, *, n0: int, n: int, bound: str
) -> SoftProcedure[SoftCertificate]:
    """n0 samples select the class with the largest mean score, n fresh ones bound the means."""
    first = yield Request(Stage.SELECT, 0, n0, scores=True)
    selected = first.sums.index(max(first.sums))
    follow = selected if bound == "betting" else None
    scores = yield Request(Stage.ESTIMATE, 0, n, scores=True, follow=follow)
    estimate = SOFT_BOUNDS[bound](scores, selected, setting.level(n))
    radius = l2_radius(estimate.radius, setting.sigma)
    return SoftCertificate(
        label=selected if radius > 0 else ABSTAIN,
        radius=radius,
        selected=selected,
        means=tuple(scores.mean(label) for label in range(len(scores.sums))),
        lower=estimate.lower,
        upper=estimate.upper,
        n0=n0,
        n=n,
        bound=bound,
        values=setting.values,
        **setting.facts(),
    )
