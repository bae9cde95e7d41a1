"""What several tests need: a classifier whose smoothed radius is known, a small entry, the real CIFAR-10 where it is."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rszoo.architectures import NormalizedNetwork, build
from rszoo.datasets import data_root, get_dataset
from rszoo.entry import recipe_source, write_entry
from rszoo.recipe import Recipe, load_recipe

RECIPE = "cifar10-resnet20-gaussian-s0.25"


class HalfSpace(nn.Module):
    """Class 1 where w.x > b, else class 0: smoothed, its radius at x is |w.x - b| / |w| for every sigma."""

    def __init__(self, w: Tensor, b: float) -> None:
        super().__init__()
        self.b = b
        self.register_buffer("w", w)

    def forward(self, x: Tensor) -> Tensor:
        score = x.flatten(1) @ self.w.flatten() - self.b
        return torch.stack([torch.zeros_like(score), score], dim=1)

    def radius(self, x: Tensor) -> float:
        return float(((x * self.w).sum() - self.b).abs() / self.w.norm())

    def label(self, x: Tensor) -> int:
        return int((x * self.w).sum() > self.b)


def shaken(network: NormalizedNetwork) -> NormalizedNetwork:
    """The network with batch norm statistics that matter, in evaluation mode."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return network.eval()


@pytest.fixture(scope="session")
def half_space() -> HalfSpace:
    return HalfSpace(torch.tensor([[[1.0, -2.0], [0.5, 1.5]]]), 0.4)


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return load_recipe(RECIPE)


@pytest.fixture(scope="session")
def network(recipe: Recipe) -> NormalizedNetwork:
    """A ResNet-20 with random weights and batch norm statistics that matter."""
    torch.manual_seed(0)
    dataset = get_dataset(recipe.model.dataset)
    return shaken(build("resnet20", num_classes=10, mean=dataset.mean, std=dataset.std))


@pytest.fixture
def entry(tmp_path: Path, network: NormalizedNetwork, recipe: Recipe) -> Path:
    """The folder of a valid entry."""
    folder = tmp_path / "entry"
    folder.mkdir()
    write_entry(folder, network, recipe_source(recipe))
    return folder


@pytest.fixture(scope="session")
def cifar10() -> Path:
    """The folder that holds the real CIFAR-10."""
    if not (data_root() / "cifar-10-batches-py").is_dir():
        pytest.skip(f"CIFAR-10 is not in {data_root()}; set RSZOO_DATA to the folder that holds cifar-10-batches-py")
    return data_root()
