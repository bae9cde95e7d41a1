"""A larger network that starts from a smaller entry computes what it did."""

from pathlib import Path

import pytest
import torch
from conftest import Complaint, shaken
from support.commands import run
from support.training_runs import CPU, losses, recipe
from torch import Tensor
from torch.nn import functional as F

import rszoo
from rszoo.architectures import NormalizedNetwork, build
from rszoo.architectures.cifar_resnet import CifarResNet
from rszoo.recipe import Recipe, load_recipe
from rszoo.training import start, train
from rszoo.training.growth import grow
from rszoo.zoo.config import read_config, recipe_source
from rszoo.zoo.entry import read_entry, write_entry


def small() -> CifarResNet:
    torch.manual_seed(1)
    return shaken(CifarResNet(14, 5))


def grown(depth: int, width: int, source: CifarResNet) -> CifarResNet:
    torch.manual_seed(2)
    network = CifarResNet(depth, 5, width=width)
    grow(network, source, torch.Generator().manual_seed(3))
    return network


def logits(network: CifarResNet, training: bool) -> Tensor:
    network.train(training)
    with torch.no_grad():
        return network(torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(4)))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [(14, 2), (14, 3), (20, 2), (26, 4)])
def test_a_wider_network_keeps_the_function(size: tuple[int, int], training: bool) -> None:
    source = small()
    network = grown(*size, source)
    expected = logits(source, training)
    assert torch.allclose(logits(network, training), expected, rtol=1e-4, atol=1e-4)
    assert expected.std() > 0.1


@pytest.mark.parametrize("training", [False, True])
def test_a_deeper_network_keeps_the_function_bit_for_bit(training: bool) -> None:
    source = small()
    network = grown(32, 1, source)
    assert torch.equal(logits(network, training), logits(source, training))


def test_the_statistics_of_batch_norm_grow_too() -> None:
    source = small()
    network = grown(14, 2, source)
    for net in (network, source):
        logits(net, training=True)
    grown_statistics, statistics = network.bn1.state_dict(), source.bn1.state_dict()
    repeated = statistics["running_mean"].repeat_interleave(2)
    assert torch.allclose(grown_statistics["running_mean"], repeated, atol=1e-6)
    assert grown_statistics["num_batches_tracked"] == statistics["num_batches_tracked"]


def test_copies_of_a_channel_get_different_gradients_and_part_ways() -> None:
    network = grown(14, 2, small()).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    x, y = torch.rand(8, 3, 16, 16), torch.arange(8) % 5
    stem = network.conv1.weight
    assert torch.equal(stem[0::2], stem[1::2]), "copies compute the same at first"
    F.cross_entropy(network(x), y).backward()
    for name in ("conv1.weight", "layer1.0.conv2.weight", "layer3.1.conv1.weight"):
        gradient = network.get_parameter(name).grad
        assert gradient is not None
        different = (gradient[0::2] - gradient[1::2]).flatten(1).norm(dim=1)
        assert (different > 1e-3 * gradient.flatten(1).norm(dim=1)[0::2]).all(), name
    optimizer.step()
    assert not torch.allclose(stem[0::2], stem[1::2])


def test_new_blocks_learn() -> None:
    network = grown(20, 1, small()).train()
    F.cross_entropy(network(torch.rand(8, 3, 16, 16)), torch.arange(8) % 5).backward()
    gradient = network.get_parameter("layer2.2.bn2.weight").grad
    assert gradient is not None
    assert (gradient != 0).any()


def test_the_parts_are_drawn_by_the_generator() -> None:
    first, second = grown(14, 2, small()), grown(14, 2, small())
    assert torch.equal(first.fc.weight, second.fc.weight)
    grow(second, small(), torch.Generator().manual_seed(9))
    assert not torch.equal(first.fc.weight, second.fc.weight)


@pytest.mark.parametrize(
    ("network", "got"),
    [
        (CifarResNet(8, 5), "3 x 1 blocks up to 64 channels for 5 classes"),
        (CifarResNet(14, 5, width=3), "3 x 2 blocks up to 192 channels for 5 classes"),
        (CifarResNet(20, 7, width=2), "3 x 3 blocks up to 128 channels for 7 classes"),
        (CifarResNet(20, 5, channels=1), "3 x 3 blocks up to 64 channels for 5 classes"),
    ],
    ids=["shallower", "no multiple", "other classes", "other channels"],
)
def test_what_is_no_larger_network_of_the_kind_is_refused(network: CifarResNet, got: str) -> None:
    source = CifarResNet(14, 5, width=2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(ValueError, match=rf"^Expected a network that is deeper .* got {got} from"):
        grow(network, source, torch.Generator())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_width_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^Expected a width of at least 1, got 0; use 1, 2 or 4"):
        CifarResNet(20, 10, width=0)


@pytest.mark.parametrize("architecture", ["resnet14-w2", "resnet20-w2", "resnet20-w4"])
def test_a_wide_architecture_has_its_channels(architecture: str) -> None:
    network = build(architecture, num_classes=2, mean=(0.5,), std=(0.5,)).network
    assert isinstance(network, CifarResNet)
    width = int(architecture.rpartition("w")[2])
    assert network.fc.in_features == 64 * width
    assert network.conv1.weight.shape == (16 * width, 1, 3, 3)
    assert 6 * len(network.layer3) + 2 == int(architecture[6:8])


@pytest.fixture
def first(blobs: Path, tmp_path: Path) -> Path:
    """An entry with a ResNet-20."""
    folder = tmp_path / "first"
    folder.mkdir()
    torch.manual_seed(5)
    network = build("resnet20", num_classes=2, mean=(0.4, 0.5, 0.5), std=(0.3, 0.3, 0.3))
    write_entry(folder, shaken(network), recipe_source(recipe()))
    return folder


def larger(architecture: str, **replaced: str) -> Recipe:
    return recipe(
        f'init_from = "{recipe().name}"', **{'"resnet20"': f'"{architecture}"', **replaced}
    )


def begun(network: NormalizedNetwork, folder: Path) -> bool:
    """Whether the network has the logits of the entry."""
    entry, _ = read_entry(folder)
    x = torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        return torch.allclose(network.eval()(x), entry(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ["resnet20-w2", "resnet32-w2", "resnet32"])
def test_a_run_starts_from_a_smaller_entry(architecture: str, first: Path) -> None:
    network = start(larger(architecture), CPU, initial=first).network
    assert begun(network, first)
    again = start(larger(architecture), CPU, initial=first).network
    assert all(map(torch.equal, network.state_dict().values(), again.state_dict().values()))
    other = larger(architecture, **{"seed = 0\ninit": "seed = 1\ninit"})
    third = start(other, CPU, initial=first).network
    assert any(
        not torch.equal(ours, theirs)
        for ours, theirs in zip(network.parameters(), third.parameters(), strict=True)
    )


@pytest.mark.slow
def test_a_run_from_a_smaller_entry_makes_an_entry(first: Path, tmp_path: Path) -> None:
    wanted = larger("resnet20-w2", **{"epochs = 3": "epochs = 2"})
    out = tmp_path / "wide"
    assert train(wanted, out, device=CPU, initial=first)
    assert read_config(out).name == "blobs-resnet20-w2-gaussian-s0.25"
    assert rszoo.load(f"local-dir:{out}").classes == ("dark", "light")
    assert len(losses(out)) == 2


def test_a_run_from_a_larger_entry_is_refused(first: Path) -> None:
    with pytest.raises(ValueError, match=r"^Expected a network that is deeper"):
        start(larger("resnet14-w2"), CPU, initial=first)


def test_names_of_wide_architectures_work_in_recipes_and_at_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: Complaint
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("cifar10-resnet20-w2-gaussian-s0.25", "cifar10-resnet20-w4-adre-lam0.1-s0.50"):
        run("train", "--new", name)
        written = load_recipe(f"{name}.toml")
        assert written.name == name
        assert written.model.architecture == name[8:19]
    assert "Unknown architecture 'resnet20-w9'" in complaint(
        "train", "--new", "cifar10-resnet20-w9-gaussian-s0.25"
    )
