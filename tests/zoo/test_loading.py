import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.hub_server import COMMIT, IMPATIENT, serve

import rszoo
from rszoo.architectures import NormalizedNetwork
from rszoo.errors import IntegrityError, MissingWeightsError, UnknownModelError
from rszoo.zoo.config import sha256
from rszoo.zoo.registry import bundled_folder, get_entry, staged_folder

X = torch.linspace(0, 255, 3072).round().view(3, 32, 32) / 255


def rewrite_weights(entry: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Other weights under a config that has their hash: only the strict checks can notice."""
    path = entry / "model.safetensors"
    path.unlink()  # some versions map the file: what they read of it must not change
    save_file(tensors, entry / "model.safetensors")
    config = json.loads((entry / "config.json").read_text())
    config["weights_sha256"] = sha256(entry / "model.safetensors")
    (entry / "config.json").write_text(json.dumps(config))


def test_an_entry_loads_with_everything_that_was_saved(
    entry: Path, network: NormalizedNetwork
) -> None:
    classifier = rszoo.load(f"local-dir:{entry}")
    assert (classifier.sigma, classifier.precision, classifier.num_classes) == (
        0.25,
        "bfloat16",
        10,
    )
    assert classifier.classes[3] == "cat"
    expected = rszoo.SmoothedClassifier(
        network, sigma=0.25, num_classes=10, input_shape=(3, 32, 32), precision="bfloat16"
    )
    assert classifier.certify(X, n=200).counts == expected.certify(X, n=200).counts


@pytest.mark.slow
def test_every_registered_entry_loads_and_matches_its_recipe() -> None:
    from rszoo.recipe import load_recipe
    from rszoo.zoo.config import read_config

    names = rszoo.list_models()
    assert names
    for name in names:
        if not bundled_folder(name).is_dir():
            continue
        config = read_config(bundled_folder(name), expected_sha256=get_entry(name).config_sha256)
        assert config.recipe_fingerprint == load_recipe(name).fingerprint
        assert config.name == name
        if not staged_folder(name).is_dir():
            assert (bundled_folder(name) / "model.safetensors").stat().st_size < 1.5e6
        assert rszoo.load(name).certify(X, n=100).n == 100


@pytest.mark.parametrize("kept", [0, 100, 500_000])
def test_truncated_weights_are_refused(entry: Path, kept: int) -> None:
    path = entry / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(IntegrityError, match=r"Expected SHA-256 .* cut off or altered"):
        rszoo.load(f"local-dir:{entry}")


def test_one_altered_byte_is_noticed(entry: Path) -> None:
    path = entry / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="Expected SHA-256"):
        rszoo.load(f"local-dir:{entry}")


def test_missing_extra_and_misshapen_tensors_are_refused(entry: Path) -> None:
    tensors = load_file(entry / "model.safetensors")
    changes = {
        "normalize.mean": {key: value for key, value in tensors.items() if key != "normalize.mean"},
        "extra": {**tensors, "extra": torch.zeros(1)},
        "network.fc.bias": {**tensors, "network.fc.bias": torch.zeros(9)},
    }
    for key, changed in changes.items():
        rewrite_weights(entry, changed)
        with pytest.raises(IntegrityError, match=f"got a difference at '{key}'"):
            rszoo.load(f"local-dir:{entry}")


def test_another_normalization_or_other_weights_fail(entry: Path) -> None:
    tensors = load_file(entry / "model.safetensors")
    rewrite_weights(entry, {**tensors, "normalize.std": tensors["normalize.std"] * 0.8})
    with pytest.raises(IntegrityError, match=r"Expected the mean and std of config.json"):
        rszoo.load(f"local-dir:{entry}")
    rewrite_weights(entry, {**tensors, "network.fc.bias": tensors["network.fc.bias"] + 0.1})
    with pytest.raises(IntegrityError, match="Expected the self-test"):
        rszoo.load(f"local-dir:{entry}")


@pytest.mark.parametrize("content", ["", "{", '{"name": 3}', '{"format": 2}'])
def test_a_damaged_config_is_refused(entry: Path, content: str) -> None:
    (entry / "config.json").write_text(content)
    with pytest.raises(IntegrityError, match=r"Expected a valid config in .*config.json"):
        rszoo.load(f"local-dir:{entry}")


def test_a_folder_that_is_no_entry_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"Expected an entry's folder with a config.json, got"
    ):
        rszoo.load(f"local-dir:{tmp_path}")


def test_what_is_no_name_is_said() -> None:
    with pytest.raises(ValueError, match=r"^Expected a name, got None; 'rszoo list' prints"):
        rszoo.load(None)  # type: ignore[arg-type]


def test_an_unknown_name_gets_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    from rszoo.zoo import registry

    known = {"cifar10-resnet20-gaussian-s0.25": registry.Entry(config_sha256="0")}
    monkeypatch.setattr(registry, "_entries", lambda: known)
    with pytest.raises(
        UnknownModelError,
        match=r"Unknown model '.*cohen-s0.25'; did you mean 'cifar10-resnet20-gaussian-s0.25'",
    ):
        get_entry("cifar10-resnet20-cohen-s0.25")


def test_the_registry_pins_and_unpins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, entry: Path
) -> None:
    from rszoo.zoo import registry

    monkeypatch.setattr(registry, "PACKAGE", tmp_path)
    (tmp_path / "entries").mkdir()
    (tmp_path / "entries" / "registry.json").write_text("{}")
    registry._entries.cache_clear()
    try:
        registry.pin("a", registry.Entry(config_sha256=sha256(entry / "config.json")))
        entry.rename(tmp_path / "entries" / "a")
        assert rszoo.list_models() == ["a"]
        assert rszoo.load("a").sigma == 0.25
        config = tmp_path / "entries" / "a" / "config.json"
        config.write_text(config.read_text().replace('"sigma": 0.25', '"sigma": 0.5'))
        with pytest.raises(IntegrityError, match="Expected SHA-256"):
            rszoo.load("a")
    finally:
        registry._entries.cache_clear()


def load_elsewhere(
    *names: str, cache: Path, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Load in a process of its own: the Hub's client reads its environment when it is imported."""
    program = f"""{IMPATIENT}
import rszoo, torch
for name in {names}:
    print(rszoo.load(name).certify(torch.full((3, 32, 32), 0.5), n=100).counts)
"""
    variables = {
        **os.environ,
        "HF_HOME": str(cache),
        "HF_HUB_DISABLE_XET": "1",
        "OMP_NUM_THREADS": "1",
        **environment,
    }
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=variables,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.hub
def test_an_entry_loads_from_the_hub_and_then_offline(entry: Path, tmp_path: Path) -> None:
    expected = str(
        rszoo.load(f"local-dir:{entry}").certify(torch.full((3, 32, 32), 0.5), n=100).counts
    )
    cache, name = tmp_path / "cache", f"hf-hub:org/entry@{COMMIT}"
    with serve({"org/entry": entry}) as (address, hub):
        online = load_elsewhere(name, "hf-hub:org/none", cache=cache, HF_ENDPOINT=address)
        assert online.stdout.strip() == expected, online.stderr
        assert any(request.startswith("GET") for request in hub.requests)
        assert "Expected org/none from the Hub, got 404; check the name" in online.stderr
    offline = load_elsewhere(name, cache=cache, HF_ENDPOINT=address, HF_HUB_OFFLINE="1")
    assert offline.stdout.strip() == expected, offline.stderr
    unreachable = load_elsewhere("hf-hub:org/other", cache=cache, HF_ENDPOINT=address)
    assert (
        "HubError: Expected org/other in the cache or from the Hub, got no connection"
        in unreachable.stderr
    )


def test_a_recipe_without_weights_is_told_from_an_unknown_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rszoo.zoo.registry.recipe_names", lambda: ["planned"])
    with pytest.raises(
        MissingWeightsError,
        match=r"got only its recipe; 'rszoo train planned --out DIR' makes them",
    ):
        get_entry("planned")
    with pytest.raises(UnknownModelError, match="did you mean 'planned'"):
        get_entry("plannt")
