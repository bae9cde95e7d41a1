"""Checkpoints in the form of the papers' code become entries, or are refused."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import shaken
from support.authors_networks import LAYERS, AuthorsResNet, Layer, authors, images
from torch import nn
from torchvision.models import resnet50
from typer.testing import CliRunner

import rszoo
from rszoo.architectures import NormalizedNetwork
from rszoo.cli import app
from rszoo.publishing.checkpoints import import_checkpoint
from rszoo.recipe import Recipe
from rszoo.zoo.config import recipe_source
from rszoo.zoo.entry import read_entry, write_entry
from rszoo.zoo.registry import bundled_folder

BUNDLED = "cifar10-resnet20-gaussian-s0.25"
Save = Callable[..., Path]


def assert_same(folder: Path, model: nn.Sequential) -> None:
    """The entry gives the model's logits: the same bits once both take the last mean alike."""
    x, network = images(), read_entry(folder)[0]
    with torch.inference_mode():
        torch.testing.assert_close(network(x), model(x), rtol=1e-6, atol=1e-6)
        model[1].avgpool = nn.AdaptiveAvgPool2d(1)
        assert torch.equal(network(x), model(x))


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a checkpoint as the authors' training programs do."""

    def write(
        state: object,
        arch: str | None = "cifar_resnet20",
        *,
        legacy: bool = False,
        key: str = "state_dict",
    ) -> Path:
        path = tmp_path / "checkpoint.pth.tar"
        named = {} if arch is None else {"arch": arch}
        optimizer = torch.optim.SGD(
            [nn.Parameter(torch.ones(2))], lr=0.1, momentum=0.9
        ).state_dict()
        content = {"epoch": 90, **named, key: state, "optimizer": optimizer}
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
        return path

    return write


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("legacy", [True, False])
def test_the_logits_are_the_authors(save: Save, tmp_path: Path, layer: str, legacy: bool) -> None:
    model = authors(layer)
    path = save(model.state_dict(), legacy=legacy)
    made = import_checkpoint(
        path,
        tmp_path / "out",
        dataset="cifar10",
        sigma=0.5,
        normalization=layer,
        method="smoothadv",
    )
    assert_same(tmp_path / "out", model)
    assert (made.normalization, made.accuracies) == (layer, {})
    classifier = rszoo.load(f"local-dir:{tmp_path / 'out'}")
    assert (classifier.sigma, classifier.precision, classifier.noise) == (0.5, "float32", "float")
    assert (
        json.loads((tmp_path / "out" / "config.json").read_text())["name"]
        == "cifar10-resnet20-smoothadv-s0.50"
    )
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]


def test_resnet110_of_macer_names_neither_architecture_nor_layer(
    save: Save, tmp_path: Path
) -> None:
    model = authors("none", depth=110)
    path = save(model[1].state_dict(), None, key="net")
    with pytest.raises(ValueError, match="names none; pass --arch resnet8, resnet20"):
        import_checkpoint(path, tmp_path / "out", dataset="cifar10", sigma=0.25)
    import_checkpoint(
        path,
        tmp_path / "out",
        dataset="cifar10",
        sigma=0.25,
        architecture="resnet110",
        normalization="none",
    )
    assert_same(tmp_path / "out", model)


@pytest.mark.slow
def test_resnet50_with_the_parallel_network_inside(save: Save, tmp_path: Path) -> None:
    torch.manual_seed(0)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    model = nn.Sequential(Layer(mean, std), nn.DataParallel(shaken(resnet50()))).eval()
    assert "1.module.conv1.weight" in model.state_dict()
    path = save(model.state_dict(), "resnet50")
    import_checkpoint(path, tmp_path / "out", dataset="imagenet", sigma=1, normalization="standard")
    x = images(224)[:1]
    with torch.inference_mode():
        assert torch.equal(read_entry(tmp_path / "out")[0](x), model[1](model[0](x)))
    assert (
        json.loads((tmp_path / "out" / "config.json").read_text())["name"]
        == "imagenet-resnet50-imported-s1.00"
    )


@pytest.mark.parametrize(
    "prefix", ["", "module.", "1.", "1.module.", "module.1.", "module.1.module."]
)
@pytest.mark.parametrize("alone", [True, False])
def test_prefixes(save: Save, tmp_path: Path, prefix: str, alone: bool) -> None:
    model = authors("standard")
    state = {prefix + name: tensor for name, tensor in model[1].state_dict().items()}
    path = save(state)
    if alone:
        torch.save(state, path)
    import_checkpoint(
        path,
        tmp_path / "out",
        dataset="cifar10",
        sigma=0.25,
        architecture="cifar_resnet20",
        normalization="standard",
    )
    assert_same(tmp_path / "out", model)


@pytest.mark.parametrize("layer", ["standard", "center"])
@pytest.mark.parametrize("parallel", [True, False])
def test_statistics_in_the_file_are_used(
    save: Save, tmp_path: Path, layer: str, parallel: bool
) -> None:
    model = authors(layer, kept=True)
    model[0].means += 0.0123  # type: ignore[assignment, operator]
    path = save((nn.DataParallel(model) if parallel else model).state_dict())
    with pytest.raises(
        ValueError, match="Expected the normalization that the file holds, got 'none'"
    ):
        import_checkpoint(
            path, tmp_path / "out", dataset="cifar10", sigma=0.25, normalization="none"
        )
    assert (
        import_checkpoint(path, tmp_path / "out", dataset="cifar10", sigma=0.25).normalization
        == "file"
    )
    assert_same(tmp_path / "out", model)


class Mischief:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_code_is_refused_and_not_executed(save: Save, tmp_path: Path, form: str) -> None:
    marker = tmp_path / "marker"
    state = {**authors("center").state_dict(), "1.extra": Mischief(marker)}
    path = save(state, legacy=form == "legacy")
    if form == "pickle":
        path.write_bytes(pickle.dumps({"state_dict": state}, protocol=2))
    with pytest.raises(
        ValueError,
        match=r"got an object of posix.mkdir, which could run code" if form != "pickle" else "code",
    ):
        import_checkpoint(
            path, tmp_path / "out", dataset="cifar10", sigma=0.25, normalization="center"
        )
    assert not marker.exists()
    assert not (tmp_path / "out").exists()
    pickle.loads(pickle.dumps(Mischief(marker)))
    assert marker.exists()  # it would have run


@pytest.mark.parametrize("legacy", [True, False])
def test_every_cut_off_file_is_refused(save: Save, tmp_path: Path, legacy: bool) -> None:
    path = save(authors("center").state_dict(), legacy=legacy)
    whole = path.read_bytes()
    for kept in (0, 1, 10, 100, 2000, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:kept])
        with pytest.raises(
            ValueError,
            match=r"Expected a file of torch.save, whole and without code, got .*copy it again",
        ):
            import_checkpoint(
                path, tmp_path / "out", dataset="cifar10", sigma=0.25, normalization="center"
            )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("block", [1, 600])
def test_damage_to_the_weights_is_noticed(
    save: Save, tmp_path: Path, share: float, block: int
) -> None:
    path = save(authors("center").state_dict())
    content = bytearray(path.read_bytes())
    start = int(share * len(content))
    content[start : start + block] = bytes([content[start] ^ 4]) * block
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"Expected a file of torch.save, whole .* copy it again"):
        import_checkpoint(
            path, tmp_path / "out", dataset="cifar10", sigma=0.25, normalization="center"
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", ["zip", "legacy", "without"])
def test_a_file_without_checksums_is_said_once(save: Save, tmp_path: Path, form: str) -> None:
    torch.serialization.set_crc32_options(form != "without")
    try:
        path = save(authors("center").state_dict(), legacy=form == "legacy")
    finally:
        torch.serialization.set_crc32_options(True)
    command = ["import", path, "--dataset", "cifar10", "--sigma", 0.25, "--out", tmp_path / "out"]
    said = CliRunner().invoke(app, [*map(str, command), "--normalization", "center"])
    assert said.output.count("The file has no checksums") == (form != "zip")
    assert "Complete" in said.output


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda state: state.pop("1.fc.bias"),
            r"without 1 of them and with 0 others, one of them 'fc.bias'",
        ),
        (
            lambda state: state.update({"1.fc.scale": torch.ones(1)}),
            r"with 1 others, one of them 'fc.scale'",
        ),
        (
            lambda state: state.update({"1.fc.bias": torch.ones(100)}),
            r"floats of shape \(10,\) as 'fc.bias' .* shape \(100,\)",
        ),
        (lambda state: state.update({"1.fc.bias": torch.ones(10).int()}), "got torch.int32"),
        (
            lambda state: state.update({"1.fc.bias": torch.full((10,), torch.nan)}),
            "got inf or nan in 'fc.bias'",
        ),
        (
            lambda state: state.update({"1.fc.bias": torch.ones(10).to_sparse()}),
            "Expected a state dict",
        ),
        (lambda state: state.update({"1.fc.bias": [1.0]}), "Expected a state dict"),
        (
            lambda state: state.update({"module.fc.bias": torch.ones(10)}),
            "Expected each tensor once",
        ),
        (lambda state: state.update({"0.kernel": torch.ones(3)}), "Expected finite means and sds"),
        (lambda state: state.update({"0.sds": torch.ones(3)}), "Expected finite means and sds"),
        (
            lambda state: state.update({"0.means": torch.ones(1)}),
            "Expected 3 means and sds for cifar10, got 1",
        ),
        (
            lambda state: state.update({"0.means": torch.ones(3), "0.sds": torch.zeros(3)}),
            "a positive std for each channel",
        ),
    ],
)
def test_a_damaged_state_dict_is_refused(
    save: Save, tmp_path: Path, change: Callable[[dict[str, object]], object], words: str
) -> None:
    state = dict(authors("center").state_dict())
    change(state)
    normalization = "auto" if any(key.startswith("0.") for key in state) else "center"
    with pytest.raises(ValueError, match=words):
        import_checkpoint(
            save(state),
            tmp_path / "out",
            dataset="cifar10",
            sigma=0.25,
            normalization=normalization,
        )
    assert not (tmp_path / "out").exists()


def test_a_full_folder_keeps_what_it_holds(save: Save, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    path = save(authors("center").state_dict())
    import_checkpoint(path, out, dataset="cifar10", sigma=0.25, normalization="center")
    before = (out / "config.json").read_bytes()
    with pytest.raises(ValueError, match="Expected a new or an empty folder"):
        import_checkpoint(path, out, dataset="cifar10", sigma=0.5, normalization="center")
    assert (out / "config.json").read_bytes() == before


def test_the_config_keeps_the_decimals_of_a_recipe(tmp_path: Path, recipe: Recipe) -> None:
    """An entry that is written again from the same network has the same bytes."""
    folder = bundled_folder(BUNDLED)
    write_entry(tmp_path, read_entry(folder)[0], recipe_source(recipe))
    written, kept = (json.loads((each / "config.json").read_text()) for each in (tmp_path, folder))
    torch.testing.assert_close(
        torch.tensor(written.pop("self_test")), torch.tensor(kept.pop("self_test"))
    )
    assert written == kept


def behind(network: NormalizedNetwork, layer: str) -> nn.Sequential:
    """The same function behind another layer with the same mean: the convolution is rescaled."""
    inner = AuthorsResNet(20)
    state = {name: tensor.clone() for name, tensor in network.network.state_dict().items()}
    state["conv1.weight"] *= (
        torch.tensor(LAYERS[layer][1] or [1.0] * 3).view(-1, 1, 1) / network.normalize.std
    )
    inner.load_state_dict(state)
    return nn.Sequential(Layer(*LAYERS[layer]), inner).eval()


@pytest.mark.parametrize("layer", ["standard", "center"])
@pytest.mark.slow
def test_auto_finds_the_layer_of_a_trained_network(
    cifar10: Path, save: Save, tmp_path: Path, layer: str
) -> None:
    network = read_entry(bundled_folder(BUNDLED))[0]
    model = behind(network, layer)
    with torch.inference_mode():
        torch.testing.assert_close(model(images()), network(images()), rtol=1e-4, atol=1e-4)
    made = import_checkpoint(
        save(model.state_dict()), tmp_path / "out", dataset="cifar10", sigma=0.25
    )
    assert made.normalization == layer
    assert made.accuracies.keys() == LAYERS.keys()
    assert made.accuracies[layer] > 0.7
    assert_same(tmp_path / "out", model)


@pytest.mark.slow
def test_auto_refuses_where_nothing_wins(cifar10: Path, save: Save, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"got standard \d+\.\d%, center \d+\.\d%, none \d+\.\d%; check --sigma"
    ):
        import_checkpoint(
            save(authors("standard").state_dict()), tmp_path / "out", dataset="cifar10", sigma=0.25
        )
    assert not (tmp_path / "out").exists()


def test_auto_says_what_to_do_without_images(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSZOO_DATA", str(tmp_path))
    with pytest.raises(
        FileNotFoundError,
        match=r"got none; set RSZOO_DATA .* or pass --normalization standard, center, none",
    ):
        import_checkpoint(
            save(authors("standard").state_dict()), tmp_path / "out", dataset="cifar10", sigma=0.25
        )
    assert not (tmp_path / "out").exists()
