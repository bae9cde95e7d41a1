"""The base network of a classifier, and a classifier on another device."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import shaken
from torch import Tensor, nn

import rszoo
from rszoo.architectures import Normalize, NormalizedNetwork
from rszoo.architectures.cifar_resnet import CifarResNet

OPTIONS: dict[str, Any] = {"sigma": 0.25, "num_classes": 10, "input_shape": (3, 32, 32)}
X = torch.randint(256, (3, 3, 32, 32), generator=torch.Generator().manual_seed(1)) / 255


def network() -> NormalizedNetwork:
    torch.manual_seed(0)
    return shaken(NormalizedNetwork(Normalize([0.4] * 3, [0.2] * 3), CifarResNet(20, 10, 3)))


def made_by_class(folder: Path) -> rszoo.SmoothedClassifier:
    return rszoo.SmoothedClassifier(network(), **OPTIONS, precision="bfloat16")


def made_by_smooth(folder: Path) -> rszoo.SmoothedClassifier:
    plain = network()
    mean, std = (part.flatten().tolist() for part in (plain.normalize.mean, plain.normalize.std))
    return rszoo.smooth(plain.network, mean=mean, std=std, **OPTIONS)


def made_by_load(folder: Path) -> rszoo.SmoothedClassifier:
    return rszoo.load(folder)


MAKERS = (made_by_class, made_by_smooth, made_by_load)


def votes(classifier: rszoo.SmoothedClassifier) -> list[tuple[int, ...]]:
    certificates = classifier.certify(X, n0=10, n=100)
    assert isinstance(certificates, list)
    return [certificate.counts for certificate in certificates]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.slow
def test_training_the_base_changes_it_and_no_vote(
    make: Callable[[Path], rszoo.SmoothedClassifier], written_entry: Path
) -> None:
    classifier = make(written_entry)
    before = votes(classifier)
    base = classifier.base
    assert base is classifier.base
    optimizer = torch.optim.SGD(base.parameters(), lr=10.0)
    start = base(X).detach()
    nn.functional.cross_entropy(base.train()(X), torch.tensor([1, 2, 3])).backward()
    optimizer.step()
    assert not torch.allclose(base.eval()(X), start, atol=1.0)
    assert votes(classifier) == before
    copied = classifier.form.moved(torch.device("cpu"))
    assert torch.equal(copied(X), classifier.form(X))


@pytest.mark.parametrize("make", MAKERS)
def test_the_base_is_the_network_in_float32_with_its_normalization(
    make: Callable[[Path], rszoo.SmoothedClassifier], written_entry: Path
) -> None:
    with torch.inference_mode():
        classifier = make(written_entry)
        base = classifier.base
    assert {tensor.dtype for tensor in base.parameters()} == {torch.float32}
    assert all(parameter.requires_grad for parameter in base.parameters())
    assert any(isinstance(part, nn.BatchNorm2d) for part in base.modules())
    assert not base.training
    if make is not made_by_load:
        assert torch.equal(base(X), network()(X))
    x = X.clone().requires_grad_()
    base(x).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_what_the_caller_trains_later_is_not_the_base() -> None:
    module = network()
    classifier = rszoo.smooth(module, **OPTIONS)
    expected = module(X).detach()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1)
    assert torch.equal(classifier.base(X), expected)
    with pytest.raises(AttributeError):
        classifier.base = module  # type: ignore[misc]


def test_a_trained_base_is_not_what_is_saved(tmp_path: Path) -> None:
    own = rszoo.smooth(network(), **OPTIONS)
    with torch.no_grad():
        next(own.base.parameters()).add_(1)
    facts = {"dataset": "cifar10", "method": "mine", "license": "MIT"}
    own.save(tmp_path / "own", architecture="resnet20", **facts)
    loaded = rszoo.load(tmp_path / "own")
    assert torch.equal(loaded.base(X), network()(X))
    assert not torch.allclose(own.base(X), network()(X), atol=0.01)
    assert votes(loaded) == votes(own)


def test_frozen_parts_of_the_network_stay_frozen_in_the_base() -> None:
    module = network()
    module.normalize.requires_grad_(False)
    first = next(module.network.parameters()).requires_grad_(False)
    base = rszoo.smooth(module, **OPTIONS).base
    frozen = [parameter for parameter in base.parameters() if not parameter.requires_grad]
    assert [parameter.shape for parameter in frozen] == [first.shape]


class Doubles(nn.Module):
    """Weights in double precision."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3072, 10).to(torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1).to(self.linear.weight.dtype))


def test_weights_of_another_type_are_float32_in_the_base() -> None:
    module = Doubles()
    base = rszoo.smooth(module, **OPTIONS).base
    assert {parameter.dtype for parameter in base.parameters()} == {torch.float32}
    assert torch.allclose(base(X), module(X).float(), atol=1e-5)


def test_a_classifier_that_is_where_it_should_be_stays(written_entry: Path) -> None:
    classifier = rszoo.load(written_entry)
    assert classifier.to("cpu") is classifier
    with pytest.raises(ValueError, match="Expected a device such as 'cpu' or 'cuda:0', got 'gpu'"):
        classifier.to("gpu")
    with pytest.raises(ValueError, match="Expected device 'cuda:99', got a machine with"):
        classifier.to("cuda:99")


def test_a_copy_of_the_form_has_its_own_weights_and_votes_alike() -> None:
    classifier = rszoo.SmoothedClassifier(network(), **OPTIONS, precision="bfloat16")
    copied = classifier.form.moved(torch.device("cpu"))
    assert torch.equal(copied(X), classifier.form(X))
    assert torch.equal(copied.logits(X), classifier.form.logits(X))
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.zero_()
    assert classifier.form.logits(X).abs().sum() > 0


@pytest.mark.device
def test_a_journey_to_a_gpu_and_back_changes_no_vote(written_entry: Path) -> None:
    classifier = rszoo.load(written_entry)
    before = votes(classifier)
    away = classifier.to("cuda")
    assert (away.device.type, classifier.device.type) == ("cuda", "cpu")
    assert (away.name, away.config, away.classes) == (
        classifier.name,
        classifier.config,
        classifier.classes,
    )
    assert next(away.base.parameters()).device.type == "cuda"
    assert votes(away) == votes(rszoo.load(written_entry, device="cuda"))
    assert votes(away.to("cpu")) == votes(classifier) == before


def foolbox_attack(base: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    foolbox: Any = import_module("foolbox")
    model = foolbox.PyTorchModel(base, bounds=(0, 1), device="cpu")
    _, clipped, _ = foolbox.attacks.L2PGD(steps=5)(model, x, y, epsilons=1.0)
    return torch.as_tensor(clipped)


def autoattack_attack(base: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    autoattack: Any = import_module("autoattack")
    attack = autoattack.AutoAttack(
        base, norm="L2", eps=1.0, version="custom", device="cpu", verbose=False
    )
    attack.attacks_to_run = ["apgd-ce"]
    attack.apgd.n_iter = 5
    return torch.as_tensor(attack.run_standard_evaluation(x, y))


def torchattacks_attack(base: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    torchattacks: Any = import_module("torchattacks")
    return torch.as_tensor(torchattacks.PGDL2(base, eps=1.0, steps=5)(x, y))


LIBRARIES = {
    "foolbox": foolbox_attack,
    "autoattack": autoattack_attack,
    "torchattacks": torchattacks_attack,
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_attacks_of_other_libraries_run_on_the_base(library: str, written_entry: Path) -> None:
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    classifier = rszoo.load(written_entry)
    before, base = votes(classifier), classifier.base
    labels = base(X).argmax(1)
    adversarial = LIBRARIES[library](base, X.clone(), labels)
    distances = (adversarial - X).flatten(1).norm(dim=1)
    assert bool((distances > 0.1).any())
    assert bool((distances <= 1.001).all())
    assert votes(classifier) == before


def test_a_gradient_attack_in_plain_torch_fools_the_base(written_entry: Path) -> None:
    classifier = rszoo.load(written_entry)
    base, x = classifier.base, X.clone()
    labels = base(X).argmax(1)
    for _ in range(20):
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(base(x), labels), x)
        x = (x + gradient.sign() / 255).clamp(0, 1)
    assert bool((base(x).argmax(1) != labels).any())
