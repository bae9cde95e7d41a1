"""What the caller has set in torch changes no entry, and stays set; so do the random numbers."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from conftest import shaken, without_times
from PIL import Image
from support.torch_settings import SETTINGS, random_numbers_stay, under
from torch import Tensor, nn

import rszoo
from rszoo.architectures import ARCHITECTURES, build
from rszoo.attacks import Plan
from rszoo.evaluation import (
    AttackEvaluation,
    AttackOptions,
    CertifyOptions,
    Evaluation,
)
from rszoo.zoo.entry import read_entry, self_test
from rszoo.zoo.weights import blank

EVERY = [*SETTINGS, "all"]
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


class WithConstants(nn.Module):
    """A network that computes with tensors which its state dict does not hold."""

    kept: Tensor

    def __init__(self, num_classes: int, channels: int, *, where: str) -> None:
        super().__init__()
        constant = torch.linspace(1, 2, num_classes)
        self.head = nn.Linear(channels, num_classes)
        if where == "buffer":
            self.register_buffer("kept", constant, persistent=False)
        elif where == "attribute":
            self.kept = constant
        else:
            self.listed = [constant]
        if where == "number":
            self.number = float(constant.sum())
        self.where = where

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits * (self.listed[0] if hasattr(self, "listed") else self.kept)


def facts(classifier: rszoo.SmoothedClassifier) -> list[object]:
    """What a classifier sees in an image, and its votes."""
    x = classifier.transform(Image.new("RGB", (40, 36), (30, 160, 90)))
    prediction = classifier.predict(x, n=100)
    assert not isinstance(prediction, list)
    return [x.dtype, x.sum().item(), classifier.sigma, prediction.counts]


@pytest.mark.slow
@pytest.mark.parametrize("setting", EVERY)
def test_an_entry_loads_the_same_under_any_setting(setting: str, written_entry: Path) -> None:
    expected = facts(rszoo.load(written_entry))
    with under(setting), random_numbers_stay():
        classifier = rszoo.load(written_entry)
        assert facts(classifier) == expected
    assert facts(classifier) == expected
    assert not any(tensor.is_inference() for tensor in classifier.form.state_dict().values())


@pytest.mark.slow
@pytest.mark.parametrize("setting", EVERY)
def test_the_self_test_is_the_same_under_any_setting(setting: str, written_entry: Path) -> None:
    network, config = read_entry(written_entry)
    expected = self_test(network, config.input_shape).tolist()
    with under(setting):
        assert self_test(network, config.input_shape).tolist() == expected


@pytest.mark.slow
@pytest.mark.parametrize("setting", EVERY)
def test_ones_own_network_is_saved_the_same_under_any_setting(setting: str, tmp_path: Path) -> None:
    torch.manual_seed(4)
    network = shaken(build("resnet20", num_classes=10, mean=MEAN, std=STD)).network

    def save(folder: Path) -> list[bytes]:
        own = rszoo.smooth(
            network, sigma=0.25, num_classes=10, input_shape=(3, 32, 32), mean=MEAN, std=STD
        )
        own.save(folder, architecture="resnet20", dataset="cifar10", method="mine", license="MIT")
        return [(folder / name).read_bytes() for name in ("config.json", "model.safetensors")]

    expected = save(tmp_path / "expected")
    with under(setting), random_numbers_stay():
        assert save(tmp_path / "entry") == expected


def test_several_threads_load_at_once(written_entry: Path) -> None:
    expected, found = facts(rszoo.load(written_entry)), []

    def work() -> None:
        found.append(facts(rszoo.load(written_entry)))

    with random_numbers_stay():
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [expected] * 4


@pytest.fixture(params=["buffer", "attribute", "list", "number"])
def constants(request: pytest.FixtureRequest) -> Iterator[str]:
    """An architecture that not only its weights decide."""
    where = request.param
    ARCHITECTURES["constants"] = lambda classes, channels: WithConstants(
        classes, channels, where=where
    )
    yield "constants"
    del ARCHITECTURES["constants"]


def test_tensors_that_no_file_holds_are_computed(constants: str, tmp_path: Path) -> None:
    network = build(constants, num_classes=10, mean=MEAN, std=STD)
    own = rszoo.smooth(network, sigma=0.25, num_classes=10, input_shape=(3, 32, 32))
    with random_numbers_stay():
        own.save(
            tmp_path / "e", architecture=constants, dataset="cifar10", method="x", license="MIT"
        )
        loaded = rszoo.load(tmp_path / "e")
    assert facts(loaded) == facts(own)


def test_the_weights_of_an_entry_are_not_drawn_first() -> None:
    network = blank("resnet20", num_classes=10, mean=MEAN, std=STD)
    assert all(tensor.is_meta for tensor in network.state_dict().values())


@pytest.mark.slow
@pytest.mark.parametrize("setting", EVERY)
def test_evaluations_and_attacks_are_the_same_under_any_setting(
    setting: str, shades: str, tmp_path: Path
) -> None:
    certify = CertifyOptions(stride=8, n0=10, n=100, alpha=0.001)
    plan = Plan(steps=2, num_noise=2)
    attack = AttackOptions(plan=plan, eps=(0.25,), n=20, stride=8, attack_batch=4)

    def logs(name: str) -> list[list[list[str]]]:
        certified, attacked = tmp_path / f"{name}.tsv", tmp_path / f"{name}-attack.tsv"
        with Evaluation(shades, certified, certify) as evaluation:
            assert len(list(evaluation)) == 3
        with AttackEvaluation(shades, attacked, attack) as attacks:
            assert len(list(attacks)) == 3
        return [without_times(certified), without_times(attacked)]

    expected = logs("expected")
    with under(setting), random_numbers_stay():
        assert logs("under") == expected
