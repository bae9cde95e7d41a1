import pytest
import torch
from conftest import shaken
from torch import Tensor, fx, nn

from rszoo.architectures import ARCHITECTURES, NormalizedNetwork, build
from rszoo.smoothing.form import VotingForm
from rszoo.smoothing.runtime import default_batch

CPU = torch.device("cpu")


def form(
    base: nn.Module, precision: str = "float32", shape: tuple[int, int, int] = (3, 32, 32)
) -> VotingForm:
    return VotingForm(base, precision, shape, CPU)


@pytest.mark.parametrize(
    "architecture", [*ARCHITECTURES, "timm/resnet10t", "torchvision/shufflenet_v2_x0_5"]
)
def test_the_folded_form_has_the_logits_of_the_plain_network(architecture: str) -> None:
    torch.manual_seed(1)
    network = shaken(
        build(architecture, num_classes=10, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
    )
    x = torch.rand(4, 3, 32, 32)
    made = form(network)
    with torch.inference_mode():
        expected, got = network(x), made.logits(x)
    assert torch.allclose(got, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in made.modules()), "folded"
    assert torch.equal(made(x), expected.argmax(1))


class Clipped(nn.Module):
    """A conv whose output is changed in place before its batch norm."""

    def __init__(self, clip: nn.Module) -> None:
        super().__init__()
        self.conv, self.clip, self.bn = nn.Conv2d(3, 8, 3), clip, nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.bn(self.clip(self.conv(x))).relu().mean((2, 3)))
        return logits


class Offset(nn.Module):
    """Folding changes its gaps, which a common offset and a last, hopeless class would hide."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        logits = (self.bn(y) + y).mean((2, 3))
        return logits + logits.new_tensor([1e3, 1e3, 1e3, -1e5])


@pytest.mark.parametrize(
    "base",
    [
        Clipped(nn.Hardtanh(-2, 2, inplace=True)),
        Clipped(nn.Hardtanh(-0.1, 0.1, inplace=True)),
        Clipped(nn.ReLU6(inplace=True)),
        Offset(),
    ],
    ids=["clipped by noise only", "clipped", "ReLU6", "offset"],
)
def test_batch_norm_is_not_folded_past_other_uses_of_its_input(base: nn.Module) -> None:
    torch.manual_seed(0)
    shaken(base)
    made, x = form(base), 2 * torch.randn(64, 3, 32, 32)
    assert any(isinstance(module, nn.BatchNorm2d) for module in made.modules())
    with torch.inference_mode():
        assert torch.allclose(made.logits(x), base(x), rtol=1e-4, atol=1e-4)


def test_bfloat16_votes_almost_like_float32(network: NormalizedNetwork) -> None:
    x = torch.rand(256, 3, 32, 32)
    with torch.inference_mode():
        agreement = (form(network, "bfloat16")(x) == form(network)(x)).float().mean()
    assert agreement > 0.95


def test_a_network_that_tracing_would_change_is_not_folded() -> None:
    class Sly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(48, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x.flatten(1)) * (1 if isinstance(x, fx.Proxy) else 2)

    base, x = Sly(), torch.rand(3, 3, 4, 4)
    assert torch.equal(form(base, shape=(3, 4, 4)).logits(x), base(x))


def test_a_network_that_cannot_be_traced_votes_unfolded() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(48, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x.flatten(1)) if x.sum() > 0 else self.linear(-x.flatten(1))

    base, x = Branching(), torch.rand(3, 3, 4, 4)
    assert torch.equal(form(base, shape=(3, 4, 4)).logits(x), base(x))


def test_the_batch_size_fits_memory(
    network: NormalizedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = form(network)
    monkeypatch.setattr(
        "os.sysconf", lambda name: {"SC_AVPHYS_PAGES": 10**7, "SC_PAGE_SIZE": 4096}[name]
    )
    assert default_batch(made, (3, 32, 32), CPU) == 64 * torch.get_num_threads()
    monkeypatch.setattr(
        "os.sysconf", lambda name: {"SC_AVPHYS_PAGES": 10**4, "SC_PAGE_SIZE": 4096}[name]
    )
    assert 1 <= default_batch(made, (3, 32, 32), CPU) < 20
    monkeypatch.setattr("os.sysconf", lambda name: 1)
    assert default_batch(made, (3, 32, 32), CPU) == 1
