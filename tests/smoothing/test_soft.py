"""Soft certificates: a network whose mean scores are known, batches, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from conftest import HalfSpace
from scipy.special import ndtr
from scipy.stats import binom
from torch import Tensor, nn

import rszoo
from rszoo.bounds import SOFT_BOUNDS, Scores, implied_linf, soft_radius
from rszoo.bounds.scores import STEPS
from rszoo.smoothing.engine import Job, run
from rszoo.smoothing.form import VotingForm
from rszoo.smoothing.noise import Noise
from rszoo.smoothing.requests import Procedure, Request, SoftProcedure, Stage

CPU = torch.device("cpu")
SHAPE = (1, 2, 2)
SIGMA = 0.25


class Probit(nn.Module):
    """Scores Phi(-s) and Phi(s) with s = w.x - b, so that G_1 = Phi(s / sqrt(1 + |w|^2 sigma^2)).

    The logistic link has no closed form; this one is near it, and a softmax of its logs.
    """

    def __init__(self, half_space: HalfSpace) -> None:
        super().__init__()
        self.half_space = half_space

    def forward(self, x: Tensor) -> Tensor:
        score = self.half_space(x)[:, 1].double()
        return torch.stack([torch.special.log_ndtr(-score), torch.special.log_ndtr(score)], 1)

    def mean(self, x: Tensor, sigma: float) -> float:
        """G_1 at x."""
        w = self.half_space.w
        score = float((x * w).sum() - self.half_space.b)
        return float(ndtr(score / (1 + float(w.norm()) ** 2 * sigma**2) ** 0.5))


@pytest.fixture(scope="module")
def probit(half_space: HalfSpace) -> Probit:
    return Probit(half_space)


@pytest.fixture(scope="module")
def clf(probit: Probit) -> rszoo.SmoothedClassifier:
    return rszoo.smooth(probit, sigma=SIGMA, num_classes=2, input_shape=SHAPE, noise="float")


def points(count: int) -> Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(6))


@pytest.mark.parametrize("bound", SOFT_BOUNDS)
def test_certificates_agree_with_the_closed_form(
    clf: rszoo.SmoothedClassifier, probit: Probit, bound: str
) -> None:
    alpha, xs = 0.05, points(200)
    found = clf.certify(xs, votes="soft", bound=bound, n0=50, n=400, alpha=alpha)
    assert isinstance(found, list)
    wrong = 0
    for x, c in zip(xs, found, strict=True):
        assert isinstance(c, rszoo.SoftCertificate)
        mean = probit.mean(x, SIGMA)
        true = SIGMA * soft_radius(max(mean, 1 - mean), min(mean, 1 - mean))
        assert abs(c.means[1] - mean) < 0.1
        assert sum(c.means) == pytest.approx(1, abs=3 / STEPS)
        assert c.lower < c.means[c.selected]
        assert c.means[1 - c.selected] < c.upper
        if not c.abstained:
            wrong += c.label != int(mean > 0.5) or c.radius > true * (1 + 1e-9)
            assert 0 < c.radius <= SIGMA * soft_radius(c.lower, c.upper)
            assert true < probit.half_space.radius(x)  # the distance of the decision boundary
        assert c.implied_linf == implied_linf(c.radius, 4)
    assert wrong <= binom.ppf(0.999, 200, alpha)
    assert sum(not c.abstained for c in found) > 50


def test_it_certifies_another_classifier_than_the_majority_vote(half_space: HalfSpace) -> None:
    """Most votes are for class 1, but weakly; the rest are sure of class 0."""

    class Weak(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            weak = half_space(x)[:, 1] > -0.1
            sure = torch.stack([torch.zeros(len(x)), torch.where(weak, 0.2, -20.0)], 1)
            assert isinstance(sure, Tensor)
            return sure

    clf = rszoo.smooth(Weak(), sigma=SIGMA, num_classes=2, input_shape=SHAPE, noise="float")
    x = torch.full(SHAPE, 0.4)  # on the boundary: about 56 % of the votes are weak
    hard, soft = clf.certify(x, n=4000), clf.certify(x, n=4000, votes="soft")
    assert isinstance(hard, rszoo.Certificate)
    assert isinstance(soft, rszoo.SoftCertificate)
    assert (hard.label, soft.label) == (1, 0)
    assert "not the majority vote" in soft.guarantee
    assert not hasattr(soft, "counts")
    assert soft.bound == "betting"
    assert hard.bound == "cohen"


@pytest.mark.parametrize("noise", ["float", "grid"])
def test_batches_and_company_change_nothing(probit: Probit, noise: str) -> None:
    clf = rszoo.smooth(probit, sigma=SIGMA, num_classes=2, input_shape=SHAPE, noise=noise)
    xs = (points(6) * 255).round() / 255
    together = clf.certify(xs, votes="soft", n0=30, n=700, batch_size=64)
    for batch_size in (1, 7, 1000):
        assert clf.certify(xs, votes="soft", n0=30, n=700, batch_size=batch_size) == together
    assert [clf.certify(x, votes="soft", n0=30, n=700) for x in xs] == together
    longer = clf.certify(xs[0], votes="soft", n0=30, n=700, seed=1)
    assert replace(longer, seed=0) != together[0]  # type: ignore[type-var]


@pytest.mark.parametrize("batch_size", [1, 7, 128, 1000])
def test_the_engine_gives_scores_and_votes_in_one_run(probit: Probit, batch_size: int) -> None:
    form, noise = VotingForm(probit, "float32", SHAPE, CPU), Noise.newest("float", 0.5, 3)
    xs = points(6)

    def scoring() -> SoftProcedure[list[Scores]]:
        first = yield Request(Stage.SELECT, 0, 5, scores=True)
        second = yield Request(Stage.ESTIMATE, 3, 300, scores=True, follow=1)
        return [first, second]

    def voting() -> Procedure[list[list[int]]]:
        votes = yield Request(Stage.ESTIMATE, 0, 300)
        return [votes]

    jobs: list[Job[Any]] = [
        Job(x, str(i), voting() if i % 2 else scoring()) for i, x in enumerate(xs)
    ]
    found: list[Any] = list(run(form, jobs, noise, num_classes=2, batch_size=batch_size))
    for number, result in enumerate(found):
        blocks = [noise.noisy(xs[number], str(number), Stage.ESTIMATE, k) for k in range(3)]
        noisy = torch.cat(blocks)[:300]
        if number % 2:
            assert result == [torch.bincount(probit(noisy).argmax(1), minlength=2).tolist()]
            continue
        first, second = result
        assert (first.n, first.values, second.n) == (5, None, 297)
        steps = (probit(noisy).softmax(1) * STEPS).long()[3:]
        assert abs(second.values - steps[:, 1].numpy()).max() <= 2  # rounding of the logits
        assert second.sums[1] == second.values.sum()
        assert second.squares[1] == (second.values.astype(int) ** 2).sum()
        assert second.sums[0] == pytest.approx(int(steps[:, 0].sum()), abs=2 * 297)


def test_scores_never_add_up_to_more_than_1_and_failures_are_minus_1() -> None:
    class Logits(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)

    form = VotingForm(Logits(), "float32", (1, 10, 1), CPU)
    x = 20 * torch.randn(1000, 1, 10, 1)
    x[0, 0, 3] = float("nan")
    x[1, 0, 3] = float("inf")
    x[2, 0, 3] = -float("inf")
    scores = form.scores(x)
    assert bool((scores[:2] == -1).all())
    assert int(scores[2:].sum(1).max()) <= STEPS
    assert int(scores[2:].min()) == 0
    assert int(scores[2, 3]) == 0
    assert torch.equal(form.scores(x[5:6]), scores[5:6])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(form.scores(x), scores)


def test_a_network_without_finite_logits_is_named() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            bad = x.flatten(1)[:, :2]
            return torch.where(bad > 1.3, float("nan"), bad)

    clf = rszoo.smooth(Broken(), sigma=0.5, num_classes=2, input_shape=SHAPE, noise="float")
    with pytest.raises(
        ValueError, match=r"^Expected finite logits, got NaN .* of 500 noisy images"
    ):
        clf.certify(torch.full(SHAPE, 1.0), votes="soft", n0=500, n=500)


def test_what_soft_votes_cannot_do_is_refused(clf: rszoo.SmoothedClassifier) -> None:
    x = points(1)[0]
    with pytest.raises(ValueError, match=r"^Unknown bound 'cohen' for soft votes; use one of hoef"):
        clf.certify(x, votes="soft", bound="cohen")
    with pytest.raises(ValueError, match=r"^Unknown bound 'betting'; use one of cohen"):
        clf.certify(x, bound="betting")
    with pytest.raises(ValueError, match=r"^Expected votes 'hard' or 'soft', got 'firm'"):
        clf.certify(x, votes="firm")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=r"^Expected soft votes without radius and tolerance"):
        clf.certify(x, votes="soft", radius=0.25)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=r"by betting, got n=5; .* use n >= 12"):
        clf.certify(x, votes="soft", n=5)
    with pytest.raises(ValueError, match=r"n0 >= 1, got 0"):
        clf.certify(x, votes="soft", n0=0)
