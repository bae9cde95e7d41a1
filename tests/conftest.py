"""Shared fixtures: a classifier of known smoothed radius, small entries, the real CIFAR-10."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image
from support.training_runs import BLOBS
from torch import Tensor, nn

import rszoo.cli
from rszoo.architectures import NormalizedNetwork, build
from rszoo.data.datasets import get_dataset
from rszoo.data.shapes import data_root
from rszoo.recipe import Recipe, load_recipe, recipe_text
from rszoo.zoo.config import recipe_source
from rszoo.zoo.entry import write_entry

RECIPE = "cifar10-resnet20-gaussian-s0.25"
IMAGES = 24  # of the data set of shades

FOLDER = """
classes = ["dark", "light"]
shape = [3, 8, 8]
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]
resize = 8
"""


Complaint = Callable[..., str]
Network = TypeVar("Network", bound=nn.Module)


class HalfSpace(nn.Module):
    """Class 1 where w.x > b, else 0; smoothed with any sigma, its radius is |w.x - b| / |w|."""

    w: Tensor

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


def shaken(network: Network) -> Network:
    """The network with batch norm statistics that matter, in evaluation mode."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return network.eval()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("device") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test draws the same random numbers, whichever tests ran before it."""
    torch.manual_seed(0)


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


@pytest.fixture(scope="session")
def written_entry(
    tmp_path_factory: pytest.TempPathFactory, network: NormalizedNetwork, recipe: Recipe
) -> Path:
    """The folder of a valid entry; no test changes it."""
    folder = tmp_path_factory.mktemp("written") / "entry"
    folder.mkdir()
    write_entry(folder, network, recipe_source(recipe))
    return folder


@pytest.fixture
def entry(tmp_path: Path, written_entry: Path) -> Path:
    """The folder of a valid entry."""
    return Path(shutil.copytree(written_entry, tmp_path / "entry"))


def tell_light_from_dark(network: NormalizedNetwork) -> None:
    """Let the last layer project on the difference of the mean features of light and dark noise."""
    last = network.network.fc
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        network.network.fc = nn.Identity()
        dark, light = (
            network.eval()(level + 0.3 * torch.randn(256, 3, 8, 8)).mean(0)
            for level in (0.25, 0.75)
        )
        last.weight.copy_(torch.stack([dark - light, light - dark]))
        last.bias.copy_(torch.stack([light @ light - dark @ dark, dark @ dark - light @ light]) / 2)
    network.network.fc = last


@pytest.fixture(scope="session")
def drawn_shades(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> Path:
    """A data set of dark and light images, and an entry for it; no test changes them."""
    root = tmp_path_factory.mktemp("shades")
    (root / "shades.toml").write_text(FOLDER)
    generator = np.random.default_rng(0)
    for number in range(IMAGES):
        folder = root / "shades" / "test" / ("dark", "light")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 128, (8, 8, 3)) + 127 * (number % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    torch.manual_seed(1)
    network = build("resnet20", num_classes=2, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    with torch.no_grad():  # in training mode: batch norm statistics of these images
        for _ in range(20):
            network(torch.rand(64, 3, 8, 8) + 0.25 * torch.randn(64, 3, 8, 8))
    tell_light_from_dark(network)
    model = msgspec.structs.replace(recipe.model, dataset="shades")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RSZOO_DATA", str(root))
        (root / "entry").mkdir()
        source = recipe_source(msgspec.structs.replace(recipe, model=model))
        write_entry(root / "entry", network, source)
    return root


@pytest.fixture
def shades(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn_shades: Path) -> str:
    """An entry with random weights, and its data set of dark and light images."""
    monkeypatch.setenv("RSZOO_DATA", str(tmp_path))
    shutil.copytree(drawn_shades, tmp_path, dirs_exist_ok=True)
    return f"local-dir:{tmp_path / 'entry'}"


@pytest.fixture
def blobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 64 + 16 noisy dark and light images."""
    root = tmp_path / "data"
    monkeypatch.setenv("RSZOO_DATA", str(root))
    generator = torch.Generator().manual_seed(0)
    for split, count in (("train", 32), ("test", 8)):
        for label, base in (("dark", 60), ("light", 150)):
            folder = root / "blobs" / split / label
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = base + torch.randint(0, 80, (32, 32, 3), generator=generator)
                Image.fromarray(pixels.byte().numpy()).save(folder / f"{index:02}.png")
    (root / "blobs.toml").write_text(BLOBS)
    return root


def without_times(path: Path) -> list[list[str]]:
    rows = [line.split("\t") for line in path.read_text().splitlines()[1:]]
    time_column = rows[0].index("time")
    return [row[:time_column] + row[time_column + 1 :] for row in rows]


@pytest.fixture
def evident(shades: str) -> Path:
    """The folder of that entry, with its recipe, a log of certificates and a sequential one."""
    from rszoo.evaluation import CertifyOptions, Evaluation

    folder = Path(shades.removeprefix("local-dir:"))
    text = recipe_text(load_recipe(RECIPE)) + "\n"
    (folder / "recipe.toml").write_text(
        text.replace('dataset = "cifar10"', 'dataset = "shades"'), encoding="utf-8"
    )
    rules: dict[str, tuple[float, ...] | None] = {
        "certify.tsv": None,
        "certify-grid.tsv": (0.05, 0.3),
    }
    for name, radii in rules.items():
        options = CertifyOptions(stride=4, n0=10, n=200, alpha=0.001, radii=radii)
        with Evaluation(shades, folder / name, options) as evaluation:
            assert len(list(evaluation)) == 6
    return folder


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Files cannot grow beyond this size, as if the disk were full."""
    import resource  # Windows has none

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def complaint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Complaint:
    """The sentence that the entry point ends in."""

    def run(*args: object) -> str:
        monkeypatch.setattr(sys, "argv", ["rszoo", *map(str, args)])
        with pytest.raises(SystemExit) as left:
            rszoo.cli.main()
        out, err = capsys.readouterr()
        assert left.value.code == 2, err
        assert err.startswith("rszoo: ")
        assert err.count("\n") == 1
        assert "Traceback" not in out + err
        return err

    return run


@pytest.fixture(scope="session")
def cifar10() -> Path:
    """The folder that holds the real CIFAR-10."""
    root = data_root()
    if not (root / "cifar-10-batches-py").is_dir():
        pytest.skip(f"CIFAR-10 is not in {root}: set RSZOO_DATA to the folder that holds it")
    return root
