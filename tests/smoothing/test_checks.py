"""Arguments out of range and networks that cannot vote are refused, with the value and a remedy."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from conftest import HalfSpace
from torch import Tensor, nn

import rszoo
from rszoo.smoothing import SmoothedClassifier

SHAPE = (1, 2, 2)


def smoothed(half_space: HalfSpace, **options: Any) -> SmoothedClassifier:
    options = {"noise": "float", **options}
    return rszoo.smooth(half_space, sigma=0.25, num_classes=2, input_shape=SHAPE, **options)


class Answer(nn.Module):
    """A network that answers with a function of the images."""

    def __init__(self, function: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(x)


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
            r"Expected a radius that n=100 votes can certify at alpha=0.001 and sigma=0.25, "
            r"got 0.6; ask for",
        ),
        ({"radius": "0.5"}, r"Expected ascending radii >= 0 in pixel units, got '0.5'"),
        ({"alpha": 1.5}, r"Expected 0 < alpha < 1, got 1.5"),
        ({"alpha": "0.001"}, r"Expected alpha to be a number, got '0.001'; pass a float"),
        ({"tolerance": "a"}, r"Expected tolerance to be a number, got 'a'"),
        ({"bound": "gauss"}, r"Unknown bound 'gauss'; use one of cohen, joint"),
        ({"batch_size": 0}, r"Expected batch_size >= 1, got 0"),
        ({"seed": -1}, r"Expected 0 <= seed .*, got -1"),
        ({"keys": ["a", "b"]}, r"Expected 1 keys, one per image, got 2"),
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
            r"Expected mean in pixel units \[0, 1\], got 123.7; divide statistics of bytes by 255",
        ),
        ({"mean": (math.nan,), "std": (1.0,)}, r"Expected mean in pixel units \[0, 1\], got nan"),
        ({"mean": (0.5,), "std": (math.inf,)}, r"Expected std in pixel units \[0, 1\], got inf"),
        (
            {"mean": 0.5, "std": 0.2},
            "Expected mean to have one value per channel, got 0.5; pass a list",
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
    """Some noisy images have such logits; those of the check in the constructor do not."""

    def logits(x: torch.Tensor) -> torch.Tensor:
        rare = x.flatten(1)[:, :1] > 1.2
        return torch.cat([x.flatten(1)[:, :1].where(~rare, value), x.flatten(1)[:, 1:2]], 1)

    classifier = rszoo.smooth(
        Answer(logits), sigma=0.25, num_classes=2, input_shape=SHAPE, noise="float"
    )
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
        rszoo.smooth(masked, sigma=0.25, num_classes=2, input_shape=SHAPE, noise="float")
        .certify(torch.full(SHAPE, 0.5), n=100)
        .label
        == 0
    )


class BatchStatistics(nn.Module):
    """Logits that depend on the mean of the batch."""

    def forward(self, x: Tensor) -> Tensor:
        return (x - x.mean(0)).flatten(1)


class OwnNoise(nn.Module):
    """Logits that are random by themselves."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.rand(len(x), 2)


class Masked(nn.Module):
    """Batch statistics decide between two classes; a third is far below them."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.norm(x.flatten(1)[:, :2]), x.new_full((len(x), 1), -1e4)], 1)


class Ranked(nn.Module):
    """An image gets class 1 if it is the brightest of its batch."""

    def forward(self, x: Tensor) -> Tensor:
        brightness = x.flatten(1).sum(1)
        return torch.stack([torch.zeros(len(x)), (brightness == brightness.max()).float()], 1)


class Moody(nn.Module):
    """As `BatchStatistics`, with noise of its own that no seed repeats."""

    def __init__(self) -> None:
        super().__init__()
        self.draws = 0

    def forward(self, x: Tensor) -> Tensor:
        self.draws += 1
        own = torch.Generator().manual_seed(self.draws)
        return (x - x.mean(0)).flatten(1) + 0.1 * torch.rand(len(x), 4, generator=own)


class Restless(Moody):
    """Noise of its own that no seed repeats, but each image by itself."""

    def forward(self, x: Tensor) -> Tensor:
        self.draws += 1
        own = torch.Generator().manual_seed(self.draws)
        return torch.rand(len(x), 4, generator=own)


@pytest.mark.parametrize(
    ("network", "classes"),
    [
        (BatchStatistics(), 4),
        (nn.Sequential(nn.BatchNorm2d(SHAPE[0], track_running_stats=False), nn.Flatten()), 4),
        (Masked(), 3),
        (nn.Sequential(Masked(), nn.Dropout(0.1).train()), 3),
        (Ranked(), 2),
        (Moody(), 4),
    ],
)
def test_a_network_that_looks_at_the_whole_batch_is_refused(
    network: nn.Module, classes: int
) -> None:
    with pytest.raises(ValueError, match="Expected a network that votes on each image by itself"):
        rszoo.smooth(network, sigma=0.25, num_classes=classes, input_shape=SHAPE)


@pytest.mark.parametrize(("network", "classes"), [(OwnNoise(), 2), (Restless(), 4)])
def test_a_network_may_draw_random_numbers(network: nn.Module, classes: int) -> None:
    before = torch.random.get_rng_state()
    rszoo.smooth(network, sigma=0.25, num_classes=classes, input_shape=SHAPE)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_predict_needs_enough_samples(half_space: HalfSpace) -> None:
    with pytest.raises(ValueError, match=r"got n=10; use n >= 11"):
        smoothed(half_space).predict(torch.full(SHAPE, 0.5), n=10)
