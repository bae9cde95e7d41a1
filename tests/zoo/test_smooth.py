"""Smoothing a network of your own, and saving it as an entry."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import shaken
from torch import Tensor, nn
from torchvision import models, transforms
from typer.testing import CliRunner

import rszoo
from rszoo.architectures import Normalize, NormalizedNetwork
from rszoo.cli import app
from rszoo.zoo.config import read_config

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
FACTS = {
    "architecture": "torchvision/shufflenet_v2_x0_5",
    "dataset": "cifar10",
    "method": "mine",
    "license": "MIT",
}
CIFAR: dict[str, Any] = {"sigma": 0.25, "num_classes": 10, "input_shape": (3, 32, 32)}
X = torch.linspace(0, 255, 3072).round().view(3, 32, 32) / 255


class Hidden(nn.Module):
    """A normalization that nobody sees from outside."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network((x - 0.5) / 0.25)


@pytest.fixture(scope="module")
def shufflenet() -> nn.Module:
    torch.manual_seed(0)
    made = models.shufflenet_v2_x0_5(num_classes=10)
    return shaken(NormalizedNetwork(Normalize(MEAN, STD), made)).network


def modules(network: nn.Module) -> dict[str, tuple[nn.Module, dict[str, object]]]:
    return {
        "bare": (network, {}),
        "with mean and std": (network, {"mean": MEAN, "std": STD}),
        "normalized": (NormalizedNetwork(Normalize(MEAN, STD), network), {}),
        "sequential": (nn.Sequential(transforms.Normalize(MEAN, STD), network), {}),
    }


@pytest.mark.parametrize("kind", ["bare", "with mean and std", "normalized", "sequential"])
def test_the_entry_of_ones_own_network_votes_as_the_network(
    shufflenet: nn.Module, tmp_path: Path, kind: str
) -> None:
    module, options = modules(shufflenet)[kind]
    own = rszoo.smooth(module, **CIFAR, **options)  # type: ignore[arg-type]
    with torch.no_grad():
        expected = module(
            (X[None] - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
            if options
            else X[None]
        )
        assert torch.allclose(own.form.logits(X[None]), expected.view(1, 10), atol=1e-4)
    own.save(tmp_path / "mine", **FACTS)
    loaded = rszoo.load(str(tmp_path / "mine"))
    assert loaded.certify(X, n=300).counts == own.certify(X, n=300).counts
    config = read_config(tmp_path / "mine")
    assert config.name == "cifar10-shufflenet_v2_x0_5-mine-s0.25"
    assert (config.license, config.recipe_fingerprint) == ("MIT", None)
    assert config.mean == ([0, 0, 0] if kind == "bare" else list(MEAN))


def test_a_network_that_cannot_be_rebuilt_is_refused(shufflenet: nn.Module, tmp_path: Path) -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    with pytest.raises(
        ValueError,
        match=r"Expected the tensors of resnet20, got a network that differs at '.*; name its arch",
    ):
        rszoo.smooth(linear, **CIFAR).save(tmp_path / "a", **{**FACTS, "architecture": "resnet20"})
    with pytest.raises(ValueError, match="pass the network itself instead of a wrapper"):
        rszoo.smooth(Hidden(shufflenet), **CIFAR).save(tmp_path / "a", **FACTS)
    disguised = Hidden(shufflenet)
    disguised.state_dict = shufflenet.state_dict  # type: ignore[method-assign]
    own = rszoo.smooth(disguised, **CIFAR)
    own.base.state_dict = shufflenet.state_dict  # type: ignore[method-assign]
    with pytest.raises(
        ValueError, match=r"to give the logits of the network, got others; pass the mean and std"
    ):
        own.save(tmp_path / "a", **FACTS)
    assert not (tmp_path / "a").exists()


def test_a_network_that_is_trained_on_after_smooth_does_not_change_the_entry(
    shufflenet: nn.Module, tmp_path: Path
) -> None:
    module = models.shufflenet_v2_x0_5(num_classes=10).eval()
    own = rszoo.smooth(module, **CIFAR)
    before = own.certify(X, n=200).counts
    with torch.no_grad():
        module.fc.bias += torch.linspace(-9, 9, 10)
    own.save(tmp_path / "mine", **FACTS)
    assert rszoo.load(str(tmp_path / "mine")).certify(X, n=200).counts == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"dataset": "mnist"},
            r"Expected images \(3, 32, 32\) of 10 classes as this classifier has, got mnist",
        ),
        ({"dataset": "cifar100"}, "got cifar100"),
        (
            {"architecture": "lenet"},
            r"Unknown architecture 'lenet'; use one of .*torchvision/<name>",
        ),
        ({"architecture": "torchvision/lenet"}, "Unknown architecture 'torchvision/lenet'"),
        ({"method": "../up"}, "Expected a method of small letters"),
        ({"name": "../up"}, "Expected a name of small letters"),
        (
            {"license": "MIT License"},
            "Expected an SPDX identifier such as MIT or Apache-2.0 as licence, got 'MIT License'",
        ),
        ({"license": ""}, "as licence, got ''"),
    ],
)
def test_wrong_facts_are_named(
    shufflenet: nn.Module, tmp_path: Path, change: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        rszoo.smooth(shufflenet, **CIFAR).save(tmp_path / "mine", **{**FACTS, **change})
    assert not (tmp_path / "mine").exists()


def test_a_folder_that_holds_files_is_not_written_to(shufflenet: nn.Module, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="which holds files; choose another one"):
        rszoo.smooth(shufflenet, **CIFAR).save(tmp_path, **FACTS)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(ValueError, match="Expected both mean and std, got one"):
        rszoo.smooth(shufflenet, **CIFAR, mean=MEAN)


def test_a_folder_is_a_name_but_a_zoo_entry_comes_first(
    entry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rszoo.zoo.loading import locate
    from rszoo.zoo.registry import bundled_folder

    monkeypatch.chdir(entry.parent)
    assert (
        rszoo.load("entry").sigma
        == rszoo.load("./entry").sigma
        == rszoo.load(str(entry)).sigma
        == 0.25
    )
    name = rszoo.list_models()[0]
    entry.rename(entry.parent / name)
    folder, pinned = locate(name)
    assert folder == bundled_folder(name)
    assert pinned is not None
    assert locate(f"./{name}") == (Path(name), None)
    with pytest.raises(FileNotFoundError, match="Expected an entry's folder with a config"):
        rszoo.load("no/such")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"input_shape": (1, 32, 32)},
            r"Expected a network for images \(1, 32, 32\), got one that fails on them",
        ),
        ({"input_shape": (32, 32)}, r"Expected input_shape \(C, H, W\), got \(32, 32\)"),
        ({"classes": ["one"]}, "Expected 10 class names, got 1"),
        ({"num_classes": 9}, r"Expected logits of shape \(2, 9\)"),
    ],
)
def test_arguments_that_do_not_fit_the_network(
    shufflenet: nn.Module, change: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        rszoo.smooth(shufflenet, **{**CIFAR, **change})


def run(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.slow
def test_modules_are_found_after_the_import_of_the_package() -> None:
    run(
        "import rszoo\n"
        "rszoo.evaluation.Evaluation, rszoo.bounds.BOUNDS, rszoo.attacks.PGD\n"
        "assert not hasattr(rszoo, 'no')"
    )


@pytest.mark.slow
def test_every_public_name_is_there_and_only_classifiers_import_torch() -> None:
    run(
        "import sys\n"
        "from rszoo import HubError, IntegrityError, MissingWeightsError, UnknownModelError\n"
        "from rszoo import ABSTAIN, Certificate, Prediction, list_models\n"
        "from rszoo.smoothing import ABSTAIN, Certificate, Prediction\n"
        "import rszoo.zoo\n"
        "assert not hasattr(rszoo.zoo, 'no') and not hasattr(rszoo.smoothing, 'no')\n"
        "assert 'torch' not in sys.modules\n"
        "for package in (rszoo, rszoo.smoothing, rszoo.zoo):\n"
        "    assert all(hasattr(package, name) for name in package.__all__)\n"
        "assert rszoo.zoo.load is rszoo.load\n"
        "assert rszoo.zoo.from_pretrained is rszoo.from_pretrained\n"
        "assert rszoo.smoothing.SmoothedClassifier is rszoo.SmoothedClassifier\n"
        "assert 'torch' in sys.modules"
    )


@pytest.mark.usefixtures("shades")
def test_an_installed_architecture_is_known_to_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    returned = "nn.Sequential(nn.Flatten(), nn.Linear(64 * channels, classes))"
    (tmp_path / "theirs.py").write_text(
        f"from torch import nn\n\n\ndef plane(classes, channels):\n    return {returned}\n"
    )
    (tmp_path / "theirs-1.dist-info").mkdir()
    (tmp_path / "theirs-1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: theirs\nVersion: 1\n"
    )
    (tmp_path / "theirs-1.dist-info" / "entry_points.txt").write_text(
        "[rszoo.architectures]\nplane = theirs:plane\n"
    )
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    own = rszoo.smooth(network, sigma=0.25, num_classes=2, input_shape=(3, 8, 8))
    facts = {"architecture": "plane", "dataset": "shades", "method": "theirs", "license": "MIT"}
    with pytest.raises(ValueError, match="Unknown architecture 'plane'"):
        own.save(tmp_path / "plane", **facts)
    monkeypatch.syspath_prepend(tmp_path)
    own.save(tmp_path / "plane", **facts)
    log = tmp_path / "plane" / "certify.tsv"
    options = ["--stride", "6", "--n0", "10", "--n", "200", "--alpha", "0.001"]
    made = CliRunner().invoke(app, ["evaluate", str(log.parent), "--out", str(log), *options])
    assert made.exit_code == 0, made.output
    checked = CliRunner().invoke(app, ["verify", str(log.parent)])
    assert "certify.tsv, again" in checked.output
    assert checked.exit_code == 0, checked.output
