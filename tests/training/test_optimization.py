"""Optimizers of a recipe: torch's own, on the parameters that each is for."""

import copy
import re
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import load_file
from support.training_runs import CPU, OPTIMIZERS, SGD, losses, recipe
from torch import nn
from torch.nn import functional as F

from rszoo.architectures import build
from rszoo.recipe import Recipe, recipe_text
from rszoo.training import start, train
from rszoo.training.optimization import build_optimizers, build_scheduler

needs_muon = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
NAMES = ["sgd", "adamw", pytest.param("muon", marks=needs_muon)]


def wanted(name: str, options: str = "", **replaced: str) -> Recipe:
    return recipe(options, **{SGD: OPTIMIZERS[name], **replaced})


def small() -> nn.Module:
    torch.manual_seed(3)
    network = build("resnet14-w2", num_classes=3, mean=(0.5,) * 3, std=(0.3,) * 3)
    return network.to(memory_format=torch.channels_last)


def backward(network: nn.Module) -> None:
    torch.manual_seed(4)
    F.cross_entropy(network(torch.rand(4, 3, 8, 8)), torch.arange(4) % 3).backward()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_text_of_a_recipe_keeps_its_optimizer(name: str) -> None:
    text = recipe_text(wanted(name))
    assert msgspec.toml.decode(text)["training"]["optimizer"]["name"] == name
    assert wanted(name).fingerprint == msgspec.toml.decode(text, type=Recipe).fingerprint
    assert len({wanted(other).fingerprint for other in OPTIMIZERS}) == 3


def test_an_unknown_optimizer_is_answered_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"'adam'.*; allowed: sgd, adamw, muon"):
        recipe(**{'name = "sgd"': 'name = "adam"'})


@needs_muon
@pytest.mark.parametrize("scaling", ["original", "match_rms_adamw"])
def test_muon_steps_the_inner_weights_as_matrices_and_the_rest_by_its_own_table(
    scaling: str,
) -> None:
    network = small()
    training = wanted("muon", **{'"original"': f'"{scaling}"'}).training
    before, optimizers = copy.deepcopy(network), build_optimizers(network, training)
    names = [
        f"{name}.weight"
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    inner = names[1:-1]
    assert names[0] == "network.conv1.weight"
    assert names[-1] == "network.fc.weight"
    matrices = {
        name: nn.Parameter(before.get_parameter(name).detach().reshape(-1, size).clone())
        for name in inner
        for size in [before.get_parameter(name)[0].numel()]
    }
    others = [p for name, p in before.named_parameters() if name not in inner]
    muon = torch.optim.Muon(
        matrices.values(),
        lr=0.1,
        momentum=0.95,
        nesterov=True,
        weight_decay=0.01,
        adjust_lr_fn=scaling,
    )
    sgd = torch.optim.SGD(others, lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    for _ in range(2):
        for net in (network, before):
            net.zero_grad()
            backward(net)
        for name, matrix in matrices.items():
            gradient = before.get_parameter(name).grad
            assert gradient is not None
            matrix.grad = gradient.reshape(matrix.shape)
        muon.step()
        sgd.step()
        for name, matrix in matrices.items():
            before.get_parameter(name).data.copy_(
                matrix.detach().view_as(before.get_parameter(name))
            )
        for optimizer in optimizers:
            optimizer.step()
    for name, parameter in network.named_parameters():
        assert torch.allclose(parameter, before.get_parameter(name), atol=1e-5), name


@needs_muon
def test_both_optimizers_of_muon_follow_the_schedule() -> None:
    training = wanted("muon").training
    optimizers = build_optimizers(small(), training)
    schedulers = [build_scheduler(optimizer, training, 10) for optimizer in optimizers]
    for _ in range(7):
        for optimizer, scheduler in zip(optimizers, schedulers, strict=True):
            optimizer.step()
            scheduler.step()
        first, rest = (scheduler.get_last_lr()[0] for scheduler in schedulers)
        assert first == pytest.approx(2 * rest)


def test_adamw_has_its_settings() -> None:
    (optimizer,) = build_optimizers(small(), wanted("adamw").training)
    assert isinstance(optimizer, torch.optim.AdamW)
    options = optimizer.defaults
    assert options["betas"] == (0.9, 0.99)
    assert (options["lr"], options["eps"], options["weight_decay"]) == (0.1, 1e-8, 0.01)


def test_a_torch_without_muon_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon", raising=False)
    sentence = (
        "Expected torch 2.9 or newer for name = 'muon' in [training.optimizer], got "
        f"{torch.__version__}; upgrade torch, or use sgd or adamw."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        build_optimizers(small(), wanted("muon").training)


@needs_muon
def test_a_network_without_inner_layers_is_too_small_for_muon() -> None:
    with pytest.raises(ValueError, match=r"^Expected a network of at least 3 layers .* got 1; use"):
        build_optimizers(nn.Linear(2, 2), wanted("muon").training)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_a_run_of_every_optimizer_in_pieces_gives_the_same_weights(
    name: str, blobs: Path, tmp_path: Path
) -> None:
    averaged = wanted(
        name, "ema_decay = 0.9", **{"epochs = 3": "epochs = 2", "rate = 0.1": "rate = 0.02"}
    )
    assert train(averaged, tmp_path / "whole", device=CPU)
    while not train(averaged, tmp_path / "pieces", device=CPU, time_limit=0.0):
        pass
    whole, pieces = (load_file(tmp_path / out / "model.safetensors") for out in ("whole", "pieces"))
    assert all(torch.equal(whole[key], pieces[key]) for key in whole | pieces)
    first, last = losses(tmp_path / "whole")
    assert last < first


def test_the_average_is_that_of_the_weights_after_each_step(blobs: Path) -> None:
    from rszoo.training.step import take_step

    run = start(wanted("sgd", "ema_decay = 0.75"), CPU)
    run.network.train()
    average: torch.Tensor | None = None
    for _ in range(3):
        take_step(run)
        weight = run.network.get_parameter("network.fc.weight").detach().double()
        average = weight if average is None else 0.75 * average + 0.25 * weight
    assert average is not None
    assert torch.allclose(run.result.get_parameter("network.fc.weight").double(), average)


def test_a_way_up_without_length_is_refused(blobs: Path) -> None:
    with pytest.raises(ValueError, match=r"^Expected a warmup other than 0\.2 for 4 steps, "):
        start(recipe(**{"epochs = 3": "epochs = 1"}), CPU)
