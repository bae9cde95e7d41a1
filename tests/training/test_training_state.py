"""Training leaves the caller's settings and random numbers alone, and needs nothing of them."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.torch_settings import SETTINGS, random_numbers_stay, under
from support.training_runs import CPU, recipe
from torch import Tensor, nn

import rszoo.architectures
from rszoo.architectures import build
from rszoo.data.datasets import get_dataset
from rszoo.training import estimate, start, train


class Dropping(nn.Module):
    """A network that draws torch's global random numbers while it is trained."""

    def __init__(self, num_classes: int, channels: int) -> None:
        super().__init__()
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(channels * 64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.drop(nn.functional.adaptive_avg_pool2d(x, 8).flatten(1)))
        return logits


def weights(folder: Path) -> dict[str, list[float]]:
    tensors = load_file(folder / "model.safetensors", device="cpu")
    return {name: tensor.flatten().tolist() for name, tensor in tensors.items()}


def test_the_initial_weights_are_those_of_the_recipes_seed(blobs: Path) -> None:
    dataset = get_dataset("blobs")
    torch.manual_seed(0)
    expected = build("resnet20", num_classes=2, mean=dataset.mean, std=dataset.std).state_dict()
    torch.manual_seed(77)
    with random_numbers_stay():
        network = start(recipe(), CPU).network
    assert all(torch.equal(network.state_dict()[name], expected[name]) for name in expected)


@pytest.mark.slow
@pytest.mark.parametrize("setting", [*SETTINGS, "all"])
def test_a_run_is_the_same_under_any_setting(setting: str, blobs: Path, tmp_path: Path) -> None:
    wanted = recipe(**{"epochs = 3": "epochs = 2"})
    train(wanted, tmp_path / "expected", device=CPU)
    torch.manual_seed(77)
    with under(setting), random_numbers_stay():
        train(wanted, tmp_path / "under", device=CPU)
        assert estimate(wanted, CPU).steps == 8
    assert weights(tmp_path / "under") == weights(tmp_path / "expected")


@pytest.mark.slow
def test_dropout_is_that_of_the_recipes_seed_and_the_step(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the run is cut, and whatever the caller has drawn before."""
    monkeypatch.setitem(rszoo.architectures.ARCHITECTURES, "dropping", Dropping)
    wanted = recipe(resnet20="dropping")
    train(wanted, tmp_path / "whole", device=CPU)
    torch.manual_seed(77)
    with random_numbers_stay():
        while not train(wanted, tmp_path / "pieces", device=CPU, time_limit=0.0):
            pass
    assert weights(tmp_path / "pieces") == weights(tmp_path / "whole")
