import copy
import subprocess
import sys
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import HalfSpace
from scipy.stats import binom, norm
from torch import Tensor, nn

import rszoo
from rszoo.architectures import NormalizedNetwork
from rszoo.smoothing import ABSTAIN, Certificate, Prediction, SmoothedClassifier

SHAPE = (1, 2, 2)


def smoothed(
    half_space: HalfSpace, sigma: float = 0.25, noise: str = "float", **options: Any
) -> SmoothedClassifier:
    return rszoo.smooth(
        half_space, sigma=sigma, num_classes=2, input_shape=SHAPE, noise=noise, **options
    )


def points(count: int) -> Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(
    ("bound", "count", "n"),
    [("cohen", 2000, 1000), ("joint", 2000, 200), ("bonferroni", 2000, 1000)],
)
@pytest.mark.slow
def test_radii_exceed_the_true_one_no_more_often_than_alpha(
    half_space: HalfSpace, bound: str, count: int, n: int
) -> None:
    alpha, x = 0.05, points(count)
    certificates: Any = smoothed(half_space).certify(
        x, n0=20, n=n, alpha=alpha, bound=bound, batch_size=4096
    )
    true = [half_space.radius(point) for point in x]
    wrong = sum(
        c.radius > r or (c.label not in (ABSTAIN, half_space.label(point)))
        for c, r, point in zip(certificates, true, x, strict=True)
    )
    assert wrong <= binom.ppf(0.999, count, alpha)
    assert sum(c.radius > 0.5 * r for c, r in zip(certificates, true, strict=True)) > 0.3 * count


def test_radius_approaches_the_true_one_as_n_grows(half_space: HalfSpace) -> None:
    x = points(8)[3]
    true = half_space.radius(x)
    radii = [
        smoothed(half_space).certify(x, n=n, batch_size=4096).radius
        for n in (100, 1000, 10_000, 300_000)
    ]
    assert radii == sorted(radii)
    assert 0.98 * true < radii[-1] < true


def test_predict_is_wrong_no_more_often_than_alpha_and_abstains_on_the_boundary(
    half_space: HalfSpace,
) -> None:
    alpha, x = 0.05, points(1000) * 0.2 + 0.3
    predictions: Any = smoothed(half_space).predict(x, n=100, alpha=alpha, batch_size=4096)
    wrong = sum(
        p.label not in (ABSTAIN, half_space.label(point))
        for p, point in zip(predictions, x, strict=True)
    )
    assert wrong <= binom.ppf(0.999, 1000, alpha)
    assert any(p.abstained for p in predictions)
    boundary = torch.full(SHAPE, 0.4)  # w.x = b: a fair coin
    assert smoothed(half_space).predict(boundary, n=1000).label == ABSTAIN


def test_certificate_holds_its_evidence(half_space: HalfSpace) -> None:
    certificate = smoothed(half_space).certify(points(1)[0], n0=50, n=500, alpha=0.01, seed=7)
    assert isinstance(certificate, Certificate)
    assert (certificate.n0, certificate.n, certificate.alpha, certificate.seed) == (
        50,
        500,
        0.01,
        7,
    )
    assert (certificate.sigma, certificate.bound, certificate.precision, certificate.noise) == (
        0.25,
        "cohen",
        "float32",
        "float",
    )
    assert sum(certificate.counts) == 500
    assert certificate.radius <= 0.25 * norm.ppf(certificate.p_lower)


def test_selection_and_estimation_do_not_share_draws(half_space: HalfSpace) -> None:
    certificates = smoothed(half_space).certify(points(200) * 0.1 + 0.35, n0=128, n=128)
    assert any(
        c.counts[c.selected] < 64 for c in certificates
    )  # with the same draws the selected class would always lead


def test_one_image_gives_one_result_and_a_batch_gives_a_list(half_space: HalfSpace) -> None:
    classifier, x = smoothed(half_space), points(3)
    assert isinstance(classifier.predict(x[0], n=20), Prediction)
    assert isinstance(classifier.certify(x[:1], n=20), list)
    many = classifier.certify(x, n=20)
    assert isinstance(many, list)
    assert len(many) == 3


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.slow
def test_votes_do_not_depend_on_batch_size_or_company(
    network: NormalizedNetwork, precision: str
) -> None:
    classifier = SmoothedClassifier(
        network, sigma=0.25, num_classes=10, input_shape=(3, 32, 32), precision=precision
    )
    x = torch.randint(256, (3, 3, 32, 32), generator=torch.Generator().manual_seed(1)) / 255
    expected = [c.counts for c in classifier.certify(x, n0=30, n=300, batch_size=64)]
    for size in (1, 7, 1000):
        assert [c.counts for c in classifier.certify(x, n0=30, n=300, batch_size=size)] == expected
    assert classifier.certify(x[1], n0=30, n=300).counts == expected[1]
    assert [c.counts for c in classifier.certify(x.flip(0), n0=5, n=300)] == expected[::-1]


VOTES = """
import torch, rszoo
torch.manual_seed(3)
network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 5))
classifier = rszoo.smooth(network, sigma=0.5, num_classes=5, input_shape=(3, 4, 4))
torch.manual_seed({seed})
print(classifier.certify(torch.arange(48).view(3, 4, 4) / 255, n=1000).counts)
"""


@pytest.mark.slow
def test_votes_are_the_same_after_a_restart(capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", VOTES.format(seed=1)], check=True, capture_output=True, text=True
    )
    exec(VOTES.format(seed=2), {})
    assert done.stdout == capsys.readouterr().out


def test_the_seed_and_the_keys_change_the_noise(half_space: HalfSpace) -> None:
    classifier, x = smoothed(half_space), points(1) * 0.1 + 0.35
    options: tuple[dict[str, Any], ...] = ({}, {"seed": 1}, {"keys": ["7"]}, {"keys": ["8"]})
    counts = {classifier.certify(x[0], n=5000, **option).counts for option in options}
    assert len(counts) == 4


def test_grid_noise_certifies_like_float_noise(half_space: HalfSpace) -> None:
    x = (points(1)[0] * 255).round() / 255
    radii = [
        smoothed(half_space, noise=noise).certify(x, n=50_000, batch_size=4096).radius
        for noise in ("float", "grid")
    ]
    assert radii[1] == pytest.approx(radii[0], rel=0.05)
    assert radii[1] < half_space.radius(x)


def test_the_classifier_votes_in_evaluation_mode_and_leaves_the_module_alone() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(4, 2)).train()
    before = copy.deepcopy(module.state_dict())
    classifier = rszoo.smooth(module, sigma=1e-6, num_classes=2, input_shape=SHAPE, noise="float")
    assert max(classifier.certify(points(1)[0], n=1000).counts) == 1000
    assert module.training
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


def test_unanimous_and_empty_votes(half_space: HalfSpace) -> None:
    far = smoothed(half_space, sigma=0.001).certify(points(1)[0], n=100)
    assert far.p_lower == pytest.approx(0.001 ** (1 / 100))
    assert far.radius == pytest.approx(0.001 * 1.5005, rel=1e-3)


def test_numpy_integers_are_integers(half_space: HalfSpace) -> None:
    clf, x = smoothed(half_space), points(1)[0]
    integers: Any = {"n": np.int64(100), "n0": np.int32(10), "seed": np.uint8(3)}
    found = clf.certify(x, **integers)
    assert found == clf.certify(x, n=100, n0=10, seed=3)
    assert (type(found.n), type(found.n0), type(found.seed)) == (int, int, int)


def test_the_float32_of_an_8_bit_image_is_on_the_grid_and_nothing_near_it(
    half_space: HalfSpace,
) -> None:
    classifier = smoothed(half_space, noise="grid")
    levels = torch.arange(256).view(-1, *SHAPE)
    with warnings.catch_warnings(action="error"):
        for x in (levels / 255, levels * (1 / 255), levels.double() / 255):
            assert all(each.moved == 0 for each in classifier.predict(x, n=20))
    with pytest.warns(UserWarning, match=r"8-bit images: 36 of 64 were rounded"):
        found = classifier.predict((levels / 255 * (1 - 3e-7)).float(), n=20)
    assert sum(each.moved > 0 for each in found) == 36


def test_an_image_between_two_8_bit_images_is_certified_at_the_nearest(
    half_space: HalfSpace,
) -> None:
    classifier, x = smoothed(half_space, noise="grid"), torch.full(SHAPE, 0.9301)
    nearest = (x * 255).round() / 255
    with pytest.warns(UserWarning, match=r"noise='float' takes x as it is"):
        rounded = classifier.certify(x, n=500, keys=["a"])
    exact = classifier.certify(nearest, n=500, keys=["a"])
    assert isinstance(rounded, Certificate)
    assert isinstance(exact, Certificate)
    assert rounded == replace(exact, moved=rounded.moved)
    assert rounded.moved == pytest.approx(float((x - nearest).norm()), rel=1e-4)
    assert "to the 8-bit image nearest to x, for the program as it runs" in rounded.guarantee
    as_given = smoothed(half_space, noise="float").certify(x, n=500)
    assert as_given.moved == 0
    assert "to x, up to the floating-point effects" in as_given.guarantee


class LowBits(nn.Module):
    """Class 1 if a value near 0 has bits that 2^-6 plus float noise cannot have."""

    def forward(self, x: Tensor) -> Tensor:
        fine = (x.abs() < 2**-9) & (x.double() * 2**31 % 1 != 0)
        return torch.nn.functional.one_hot(fine.flatten(1).any(1).long(), 2).float()


@pytest.mark.parametrize("noise", ["float", "grid"])
def test_a_network_that_reads_low_bits_contradicts_float_noise_only(noise: str) -> None:
    """Two images within each other's radius, certified with other labels by float noise."""
    shape = (3, 16, 16)
    step = 2**-6 if noise == "float" else 4 / 255
    a, b = torch.full(shape, step), torch.zeros(shape)
    classifier = rszoo.smooth(LowBits(), sigma=0.25, num_classes=2, input_shape=shape, noise=noise)
    first, second = (classifier.certify(x, n=10_000) for x in (a, b))
    contradiction = first.label != second.label and min(first.radius, second.radius) > float(
        (a - b).norm()
    )
    assert contradiction == (noise == "float")


def test_grid_certificates_of_a_half_space_keep_their_level(half_space: HalfSpace) -> None:
    """8-bit images just inside of what is claimed: no more overclaims than alpha allows."""
    generator = torch.Generator().manual_seed(5)
    levels = torch.randint(0, 256, (4000, *SHAPE), generator=generator)
    x = levels.float() / 255
    distances = torch.tensor([half_space.radius(image) for image in x])
    chosen = x[(distances - 0.2).abs() < 0.05][:400]
    true = [half_space.radius(image) for image in chosen]
    alpha = 0.05
    keys = [str(number) for number in range(len(chosen))]
    found = smoothed(half_space, noise="grid").certify(chosen, n=300, alpha=alpha, keys=keys)
    assert isinstance(found, list)
    over = sum(c.radius > radius for c, radius in zip(found, true, strict=True))
    assert len(chosen) > 200
    assert over <= binom.ppf(0.999, len(chosen), alpha)
    assert all(c.stream == 2 for c in found)
