import copy
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from conftest import HalfSpace
from scipy.stats import binom, norm
from torch import Tensor, nn

import rszoo
from rszoo.architectures import NormalizedNetwork
from rszoo.smoothing.certificate import ABSTAIN, Certificate, Prediction
from rszoo.smoothing.classifier import SmoothedClassifier

SHAPE = (1, 2, 2)


def smoothed(half_space: HalfSpace, sigma: float = 0.25, **options: Any) -> SmoothedClassifier:
    return rszoo.smooth(half_space, sigma=sigma, num_classes=2, input_shape=SHAPE, **options)


class Answer(nn.Module):
    """A network that answers with a function of the images."""

    def __init__(self, function: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(x)


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
    x = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
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
print(classifier.certify(torch.linspace(0, 1, 48).view(3, 4, 4), n=1000).counts)
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
    classifier = rszoo.smooth(module, sigma=1e-6, num_classes=2, input_shape=SHAPE)
    assert max(classifier.certify(points(1)[0], n=1000).counts) == 1000
    assert module.training
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


def test_unanimous_and_empty_votes(half_space: HalfSpace) -> None:
    far = smoothed(half_space, sigma=0.001).certify(points(1)[0], n=100)
    assert far.p_lower == pytest.approx(0.001 ** (1 / 100))
    assert far.radius == pytest.approx(0.001 * 1.5005, rel=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"x": torch.full(SHAPE, 1.5)},
            r"Expected pixels in \[0, 1\], got \[1.5, 1.5\]; pass the image before normalization",
        ),
        ({"x": torch.full(SHAPE, float("nan"))}, r"Expected pixels in \[0, 1\], got \[nan, nan\]"),
        (
            {"x": torch.zeros(3, 2, 2)},
            r"Expected an image of shape \(1, 2, 2\) .*, got \(3, 2, 2\)",
        ),
        ({"x": torch.zeros(SHAPE, dtype=torch.uint8)}, r"got torch.uint8; divide by 255"),
        ({"x": torch.zeros(0, *SHAPE)}, r"got an empty batch"),
        ({"x": "cat.png"}, r"Expected a torch tensor, got str; pass clf.transform"),
        ({"n": 9}, r"got n=9; all 9 votes would still give p_lower <= 1/2: use n >= 10"),
        ({"n": 1e3}, r"Expected n to be a whole number, got 1000.0; pass an int"),
        ({"n0": 10.0}, r"Expected n0 to be a whole number, got 10.0"),
        ({"n0": 0}, r"Expected n0 >= 1, got 0"),
        ({"seed": 1.5}, r"Expected seed to be a whole number, got 1.5"),
        ({"seed": True}, r"Expected seed to be a whole number, got True"),
        ({"batch_size": 8.0}, r"Expected batch_size to be a whole number, got 8.0"),
        (
            {"radius": 0.6},
            r"Expected a radius that n=100 votes can certify at alpha=0.001 and sigma=0.25, got 0.6; ask for",
        ),
        ({"radius": "0.5"}, r"Expected ascending radii >= 0 in pixel units, got '0.5'"),
        ({"alpha": 1.5}, r"Expected 0 < alpha < 1, got 1.5"),
        ({"alpha": "0.001"}, r"Expected alpha to be a number, got '0.001'; pass a float"),
        ({"tolerance": "a"}, r"Expected tolerance to be a number, got 'a'"),
        ({"bound": "gauss"}, r"Unknown bound 'gauss'; use one of cohen, joint"),
        ({"batch_size": 0}, r"Expected batch_size >= 1, got 0"),
        ({"seed": -1}, r"Expected 0 <= seed .*, got -1"),
        ({"keys": ["a", "b"]}, r"Expected 1 keys, one an image, got 2"),
    ],
)
def test_bad_arguments_are_named(
    half_space: HalfSpace, change: dict[str, Any], message: str
) -> None:
    arguments: dict[str, Any] = {"x": torch.full(SHAPE, 0.5), "n": 100, **change}
    with pytest.raises(ValueError, match=message):
        smoothed(half_space).certify(arguments.pop("x"), **arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigma": 0.0}, "Expected sigma > 0, got 0.0"),
        ({"sigma": "0.25"}, "Expected sigma to be a number, got '0.25'"),
        ({"num_classes": 2.0}, r"Expected num_classes to be a whole number, got 2\.0"),
        (
            {"module": torch.sigmoid},
            "Expected a torch module, got builtin_function_or_method; wrap it in an nn.Module",
        ),
        (
            {"module": Answer(lambda x: {"logits": x})},
            "Expected a network that returns logits, got one that returns dict",
        ),
        (
            {"module": Answer(lambda x: x.new_full((len(x), 2), math.nan))},
            "Expected finite logits, got NaN or infinity; check",
        ),
        (
            {"module": Answer(lambda x: x.new_full((len(x), 2), math.inf))},
            "Expected finite logits, got NaN or infinity; check",
        ),
        (
            {"mean": (123.7,), "std": (58.0,)},
            r"Expected mean in pixel units \[0, 1\], got 123.7; divide by 255",
        ),
        ({"mean": (math.nan,), "std": (1.0,)}, r"Expected mean in pixel units \[0, 1\], got nan"),
        ({"mean": (0.5,), "std": (math.inf,)}, r"Expected std in pixel units \[0, 1\], got inf"),
        (
            {"mean": 0.5, "std": 0.2},
            "Expected mean to have one value a channel, got 0.5; pass a list",
        ),
        ({"num_classes": 3}, r"Expected logits of shape \(2, 3\) for two images, got \(2, 2\)"),
        ({"precision": "float16"}, "Expected precision 'float32' or 'bfloat16', got 'float16'"),
        ({"noise": "uniform"}, "Expected noise 'float' or 'grid', got 'uniform'"),
        ({"device": "cuda:99"}, "Expected device 'cuda:99', got a machine with . CUDA devices"),
        ({"device": "gpu"}, "Expected a device such as 'cpu' or 'cuda:0', got 'gpu'"),
    ],
)
def test_bad_classifiers_are_refused(
    half_space: HalfSpace, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        rszoo.smooth(
            **{
                "module": half_space,
                "sigma": 0.25,
                "num_classes": 2,
                "input_shape": SHAPE,
                **change,
            }
        )


@pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning")
def test_torchscript_is_refused() -> None:
    traced = torch.jit.trace(torch.nn.Flatten(), torch.zeros(2, *SHAPE))
    for module in (traced, torch.nn.Sequential(traced)):
        with pytest.raises(
            ValueError, match="got one in TorchScript; pass the module that it was made of"
        ):
            rszoo.smooth(module, sigma=0.25, num_classes=2, input_shape=SHAPE)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_votes_for_no_class_are_an_error_and_no_certificate(value: float) -> None:
    """Some of the noisy images have such logits, the images of the check at the beginning have not."""

    def logits(x: torch.Tensor) -> torch.Tensor:
        rare = x.flatten(1)[:, :1] > 1.2
        return torch.cat([x.flatten(1)[:, :1].where(~rare, value), x.flatten(1)[:, 1:2]], 1)

    classifier = rszoo.smooth(Answer(logits), sigma=0.25, num_classes=2, input_shape=SHAPE)
    for call in (classifier.certify, classifier.predict):
        with pytest.raises(
            ValueError,
            match=r"Expected finite logits, got NaN or infinity as the largest of \d+ of \d+ noisy",
        ):
            call(torch.full(SHAPE, 0.5), n=10_000)
    masked = Answer(
        lambda x: torch.cat([x.flatten(1)[:, :1], x.new_full((len(x), 1), -math.inf)], 1)
    )
    assert (
        rszoo.smooth(masked, sigma=0.25, num_classes=2, input_shape=SHAPE)
        .certify(torch.full(SHAPE, 0.5), n=100)
        .label
        == 0
    )


def test_numpy_integers_are_integers(half_space: HalfSpace) -> None:
    clf, x = smoothed(half_space), points(1)[0]
    integers: Any = {"n": np.int64(100), "n0": np.int32(10), "seed": np.uint8(3)}
    found = clf.certify(x, **integers)
    assert found == clf.certify(x, n=100, n0=10, seed=3)
    assert (type(found.n), type(found.n0), type(found.seed)) == (int, int, int)


def test_off_grid_pixels_are_refused_in_grid_mode(half_space: HalfSpace) -> None:
    with pytest.raises(ValueError, match="multiples of 1/255"):
        smoothed(half_space, noise="grid").certify(torch.full(SHAPE, 0.3301), n=100)


def test_the_float32_of_an_8_bit_image_is_on_the_grid_and_nothing_near_it(
    half_space: HalfSpace,
) -> None:
    classifier = smoothed(half_space, noise="grid")
    levels = torch.arange(256).view(-1, *SHAPE)
    for x in (levels / 255, levels * (1 / 255), levels.double() / 255):
        classifier.predict(x, n=20)
    with pytest.raises(ValueError, match="multiples of 1/255"):
        classifier.predict((levels / 255 * (1 - 3e-7)).float(), n=20)


class BatchStatistics(nn.Module):
    """Logits that depend on the mean of the batch."""

    def forward(self, x: Tensor) -> Tensor:
        return (x - x.mean(0)).flatten(1)


class OwnNoise(nn.Module):
    """Logits that are random by themselves."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.rand(len(x), 2)


def test_a_network_that_looks_at_the_whole_batch_is_refused() -> None:
    for network in (
        BatchStatistics(),
        nn.Sequential(nn.BatchNorm2d(SHAPE[0], track_running_stats=False), nn.Flatten()),
    ):
        with pytest.raises(
            ValueError, match="Expected a network that votes on each image by itself"
        ):
            rszoo.smooth(network, sigma=0.25, num_classes=4, input_shape=SHAPE)
    rszoo.smooth(OwnNoise(), sigma=0.25, num_classes=2, input_shape=SHAPE)


def test_predict_needs_enough_samples(half_space: HalfSpace) -> None:
    with pytest.raises(ValueError, match=r"got n=10; use n >= 11"):
        smoothed(half_space).predict(points(1)[0], n=10)
