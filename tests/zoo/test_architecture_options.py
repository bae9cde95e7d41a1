"""Options in the name of an architecture, from the name to a saved entry and back."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

import rszoo
from rszoo.architectures import build
from rszoo.architectures.options import split_options
from rszoo.recipe import Recipe
from rszoo.zoo.config import default_name

VIT = "timm/vit_tiny_patch16_224?img_size=32&patch_size=8&depth=1"
CIFAR: dict[str, Any] = {"sigma": 0.25, "num_classes": 10, "input_shape": (3, 32, 32)}
X = torch.linspace(0, 255, 3072).round().view(3, 32, 32) / 255


def built(architecture: str) -> torch.nn.Module:
    return build(architecture, num_classes=10, mean=[0.5] * 3, std=[0.25] * 3).eval()


def test_values_have_the_type_that_they_look_like() -> None:
    name, options = split_options("vit?a=4&b=-0.5&c=true&d=False&e=avg&f=1e-3&g=a%26b&h=")
    assert name == "vit"
    expected = {
        "a": 4,
        "b": -0.5,
        "c": True,
        "d": False,
        "e": "avg",
        "f": 0.001,
        "g": "a&b",
        "h": "",
    }
    assert options == expected
    assert {key: type(value) for key, value in options.items()} == {
        key: type(value) for key, value in expected.items()
    }
    assert split_options("vit") == ("vit", {})


@pytest.mark.parametrize(
    ("architecture", "shape"),
    [
        (VIT, (192, 3, 8, 8)),
        ("torchvision/vit_b_16?image_size=32", (768, 3, 16, 16)),
    ],
)
@pytest.mark.slow
def test_options_reach_the_network(architecture: str, shape: tuple[int, ...]) -> None:
    network = built(architecture)
    assert network(X[None]).shape == (1, 10)
    assert shape in {tuple(parameter.shape) for parameter in network.parameters()}


def test_members_of_an_ensemble_have_options_too() -> None:
    network = built(f"ensemble/2x{VIT}+resnet20")
    assert network(X[None]).shape == (1, 10)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        (
            "timm/resnet18?nonsense=1",
            r"^Expected options that timm/resnet18 takes, got 'nonsense=1' \(.*'nonsense'\); see",
        ),
        (
            "torchvision/resnet18?nonsense=1",
            r"^Expected options that torchvision/resnet18 takes, got 'nonsense=1' \(.*\); see",
        ),
        ("timm/resnet18?layers=many", r"^Expected options that timm/resnet18 takes, got 'layers"),
        ("timm/resnet18?pretrained=true", r"leave weights, classes .* got 'pretrained'; leave"),
        ("timm/resnet18?in_chans=1", "got 'in_chans'; leave it out"),
        ("torchvision/resnet18?weights=DEFAULT", "got 'weights'; leave it out"),
        ("timm/resnet18?deep", r"Expected options such as \?img_size=32&patch_size=4, got 'deep'"),
        ("timm/resnet18?", r"got '' \(there is none\); write resnet18\?key=value&key=value\.$"),
        ("timm/resnet18?a=1&a=2", "an option is there twice"),
        ("timm/resnet1?a=1", "Unknown architecture 'timm/resnet1'"),
        ("torchvision/lenet?a=1", "Unknown architecture 'torchvision/lenet'"),
        ("resnet20?width=2", r"Unknown architecture 'resnet20\?width=2'; use one of"),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(architecture: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        built(architecture)
    assert "\n" not in str(error.value)


def test_an_entry_keeps_its_options(tmp_path: Path) -> None:
    torch.manual_seed(0)
    own = rszoo.smooth(built(VIT), **CIFAR)
    facts = {"dataset": "cifar10", "method": "mine", "license": "MIT"}
    config = own.save(tmp_path / "vit", architecture=VIT, **facts)
    assert config.architecture == VIT
    assert config.name == "cifar10-vit_tiny_patch16_224-img_size32-patch_size8-depth1-mine-s0.25"
    loaded = rszoo.load(tmp_path / "vit")
    assert loaded.config.architecture == VIT
    assert loaded.certify(X, n=50).counts == own.certify(X, n=50).counts
    other = VIT.replace("patch_size=8", "patch_size=4")
    with pytest.raises(ValueError, match="Expected the tensors of timm/vit"):
        own.save(tmp_path / "other", architecture=other, **facts)


def test_names_and_fingerprints_tell_options_apart(recipe: Recipe) -> None:
    recipes = [
        msgspec.structs.replace(
            recipe, model=msgspec.structs.replace(recipe.model, architecture=architecture)
        )
        for architecture in ("timm/vit", "timm/vit?img_size=32", "timm/vit?img_size=64&a=b/c")
    ]
    assert [each.name for each in recipes] == [
        "cifar10-vit-gaussian-s0.25",
        "cifar10-vit-img_size32-gaussian-s0.25",
        "cifar10-vit-img_size64-abc-gaussian-s0.25",
    ]
    assert len({each.fingerprint for each in recipes}) == 3
    assert (
        default_name("cifar10", "ensemble/2xresnet20+timm/vit?a=1", "ensemble", 0.5)
        == "cifar10-2xresnet20-vit-a1-ensemble-s0.50"
    )
