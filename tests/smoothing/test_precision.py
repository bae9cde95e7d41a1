"""Mixed precision, and bfloat16 votes without bfloat16 instructions: the same rounding."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rszoo
from rszoo.smoothing import precision as arithmetic
from rszoo.smoothing.isolation import isolated
from rszoo.smoothing.precision import WideProducts, bfloat16_products, mixed_precision

CPU = torch.device("cpu")
X, W, B = (
    torch.randn(*shape, generator=torch.Generator().manual_seed(1))
    for shape in ((8, 16, 12, 12), (24, 16, 3, 3), (24,))
)


def exact(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """The convolution of the nearest bfloat16 numbers, in float64, rounded to bfloat16 once."""
    x, w, b = (each.bfloat16().double() for each in (x, w, b))
    return F.conv2d(x, w, b, padding=1).bfloat16()


def check(found: Tensor, expected: Tensor) -> None:
    """All but a few are equal: those near the middle of two numbers, by the order of sums."""
    assert found.dtype == expected.dtype == torch.bfloat16
    assert (found != expected).float().mean() < 1e-3
    torch.testing.assert_close(found, expected, rtol=2**-7, atol=1e-3)


@pytest.fixture(params=[True, False], ids=["native", "wide"])
def processor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both kinds of processor, on this one."""
    monkeypatch.setattr(arithmetic, "multiplies_bfloat16", lambda: request.param)
    return request.param


def test_a_convolution_is_exact_but_for_one_rounding(processor: bool) -> None:
    with bfloat16_products(CPU) as mode:
        check(F.conv2d(X.bfloat16(), W.bfloat16(), B.bfloat16(), padding=1), exact(X, W, B))
    assert isinstance(mode, WideProducts) != processor


def test_mixed_precision_rounds_weights_and_images_too(processor: bool) -> None:
    with mixed_precision(CPU, "bfloat16"):
        found = F.conv2d(X, W, bias=B, padding=1)
    check(found, exact(X, W, B))
    unrounded = F.conv2d(X.double(), W.double(), B.double(), padding=1).bfloat16()
    assert (found != unrounded).float().mean() > 0.1


def test_arguments_may_be_named(processor: bool) -> None:
    with bfloat16_products(CPU):
        check(
            F.conv2d(input=X.bfloat16(), weight=W.bfloat16(), bias=B.bfloat16(), padding=1),
            exact(X, W, B),
        )


def test_float32_is_left_alone() -> None:
    expected = F.conv2d(X, W, B, padding=1)
    with mixed_precision(CPU, "float32"):
        assert torch.equal(F.conv2d(X, W, B, padding=1), expected)
    with WideProducts():
        assert torch.equal(F.conv2d(X, W, B, padding=1), expected)


def test_gradients_are_those_of_mixed_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    gradients = []
    for native in (True, False):
        monkeypatch.setattr(arithmetic, "multiplies_bfloat16", lambda native=native: native)
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(16, 8, 3, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(800, 4),
        )
        x = X.clone().requires_grad_()
        with mixed_precision(CPU, "bfloat16"):
            loss = F.cross_entropy(network(x), torch.arange(8) % 4)
        loss.backward()
        gradients.append([x.grad, *(each.grad for each in network.parameters())])
    for torchs, wide in zip(*gradients, strict=True):
        assert wide.dtype == torch.float32
        assert F.cosine_similarity(wide.flatten(), torchs.flatten(), dim=0) > 0.999


def test_an_entry_votes_alike_on_both(monkeypatch: pytest.MonkeyPatch) -> None:
    form = rszoo.load("cifar10-resnet20-gaussian-s0.25").form
    images = torch.rand(500, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    votes = []
    for native in (True, False):
        monkeypatch.setattr(arithmetic, "multiplies_bfloat16", lambda native=native: native)
        with torch.inference_mode():
            votes.append(form(images))
    assert len(votes[0].unique()) > 1
    assert (votes[0] != votes[1]).sum() <= 2


def test_a_step_inside_isolated_trains_with_the_weights_of_that_step(processor: bool) -> None:
    """torch keeps bfloat16 copies of weights as long as any autocast is open, `isolated`'s too."""
    layer, x = nn.Linear(12, 4), X[0, 0]
    with isolated(CPU):
        outputs = []
        for scale in (1.0, 2.0):
            with torch.no_grad():
                layer.weight.fill_(scale)
            with mixed_precision(CPU, "bfloat16"):
                outputs.append(layer(x) - layer.bias)
    torch.testing.assert_close(outputs[1], 2 * outputs[0], rtol=0.02, atol=0.05)
