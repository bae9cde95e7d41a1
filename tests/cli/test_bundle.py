"""`rszoo bundle` and `rszoo train`, on a copy of the package's registry."""

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

import rszoo.training
from rszoo.architectures import build
from rszoo.cli import app
from rszoo.errors import IntegrityError
from rszoo.files import exchange
from rszoo.recipe import Recipe, load_recipe, recipe_text
from rszoo.zoo import registry
from rszoo.zoo.config import recipe_source, sha256
from rszoo.zoo.entry import read_entry, write_entry
from rszoo.zoo.registry import Entry, bundled_folder, get_entry, pin

NAME = "cifar10-resnet20-gaussian-s0.25"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty zoo in place of the package's."""
    folder = tmp_path / "package"
    (folder / "entries").mkdir(parents=True)
    (folder / "entries" / "registry.json").write_text("{}")
    monkeypatch.setattr(registry, "PACKAGE", folder)
    registry._entries.cache_clear()
    yield folder
    registry._entries.cache_clear()


def entries(package: Path) -> list[str]:
    return sorted(path.name for path in (package / "entries").iterdir())


def bundle(run: Path) -> str:
    return CliRunner().invoke(app, ["bundle", str(run)], catch_exceptions=False).output


def test_a_bundled_run_loads_by_name(package: Path, entry: Path) -> None:
    assert rszoo.list_models() == []
    assert f"Bundled {NAME}" in bundle(entry)
    assert rszoo.list_models() == [NAME]
    assert sorted(path.name for path in bundled_folder(NAME).iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    assert entries(package) == [NAME, "registry.json"]
    assert json.loads((package / "entries" / "registry.json").read_text())[NAME][
        "config_sha256"
    ] == sha256(entry / "config.json")
    assert rszoo.load(NAME).sigma == 0.25


def test_large_weights_are_staged_as_a_hub_repository_beside_the_package(
    package: Path, entry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("rszoo.cli.bundle"), "PACKAGED_BYTES", 1_000_000)
    with pytest.raises(
        ValueError, match=r"Expected weights of at most 1000000 bytes, got 11.* in a checkout"
    ):
        bundle(entry)
    assert rszoo.list_models() == []
    (package.parent / "training_recipes").mkdir()
    bundle(entry)
    staged = package.parent / "hub" / NAME
    assert entries(package) == ["registry.json"]
    assert sorted(path.name for path in staged.iterdir()) == [
        "config.json",
        "model.safetensors",
        "recipe.toml",
    ]
    assert (staged / "recipe.toml").read_text() == recipe_text(load_recipe(NAME)) + "\n"
    assert load_recipe(str(staged / "recipe.toml")) == load_recipe(NAME)
    assert rszoo.load(NAME).sigma == 0.25
    assert '"staged"' in CliRunner().invoke(app, ["list", "--json"], catch_exceptions=False).output
    monkeypatch.undo()
    monkeypatch.setattr(registry, "PACKAGE", package)
    bundle(entry)
    assert not staged.exists()
    assert bundled_folder(NAME) == package / "entries" / NAME


def test_a_revision_is_kept_only_with_the_same_weights(package: Path, entry: Path) -> None:
    pin(
        NAME, Entry(config_sha256=sha256(entry / "config.json"), repo_id="org/repo", revision="abc")
    )
    bundle(entry)
    assert get_entry(NAME).revision == "abc"
    pin(NAME, Entry(config_sha256="0" * 64, repo_id="org/repo", revision="abc"))
    bundle(entry)
    assert get_entry(NAME) == Entry(config_sha256=sha256(entry / "config.json"))


def test_a_run_of_a_recipe_that_has_changed_is_refused(package: Path, entry: Path) -> None:
    config = json.loads((entry / "config.json").read_text())
    (entry / "config.json").write_text(json.dumps({**config, "recipe_fingerprint": "0" * 64}))
    with pytest.raises(ValueError, match=r"got 0000.*; the recipe has changed: train it again"):
        bundle(entry)
    assert rszoo.list_models() == []
    assert not bundled_folder(NAME).exists()


def test_an_imported_entry_is_refused(package: Path, entry: Path) -> None:
    config = json.loads((entry / "config.json").read_text())
    (entry / "config.json").write_text(json.dumps({**config, "recipe_fingerprint": None}))
    assert rszoo.load(f"local-dir:{entry}").sigma == 0.25
    with pytest.raises(
        ValueError, match=r"made from a recipe, got .*, which was imported; keep it outside"
    ):
        bundle(entry)
    assert rszoo.list_models() == []


def test_a_damaged_run_leaves_the_package_as_it_was(package: Path, entry: Path) -> None:
    bundle(entry)
    before = sha256(bundled_folder(NAME) / "model.safetensors")
    (entry / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(IntegrityError):
        bundle(entry)
    assert sha256(bundled_folder(NAME) / "model.safetensors") == before
    assert entries(package) == [NAME, "registry.json"]
    assert rszoo.load(NAME).sigma == 0.25


@pytest.mark.parametrize("moment", ["before", "after", "pin"])
def test_a_bundle_that_stops_leaves_the_old_entry_or_the_new_one(
    package: Path, entry: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    bundle(entry)
    folder = bundled_folder(NAME)
    (folder / "notes.txt").write_text("kept")
    (folder / "certify.tsv").write_text("of the old weights")
    (folder.parent / f"{NAME}.partial").write_text("the user's")
    old = sha256(folder / "config.json")
    other = build("resnet20", num_classes=10, mean=(0.5,) * 3, std=(0.5,) * 3)
    write_entry(entry, other, recipe_source(recipe))
    verb = import_module("rszoo.cli.bundle")

    def exchanged(one: Path, two: Path) -> None:
        if moment == "before":
            raise KeyboardInterrupt
        exchange(one, two)
        if moment == "after":
            read_entry(folder)

    def pinned(name: str, entry: Entry) -> None:
        if moment == "pin":
            raise OSError("full")
        pin(name, entry)

    monkeypatch.setattr(verb, "exchange", exchanged)
    monkeypatch.setattr(verb, "pin", pinned)
    if moment == "after":
        bundle(entry)
    else:
        with pytest.raises((KeyboardInterrupt, OSError)):
            verb.bundle(entry)
    assert (sha256(folder / "config.json") == old) == (moment != "after")
    assert (folder / "certify.tsv").exists() == (moment != "after")
    assert (folder / "notes.txt").read_text() == "kept"
    assert rszoo.load(NAME).sigma == 0.25
    assert entries(package) == [NAME, f"{NAME}.partial", "registry.json"]


@pytest.mark.parametrize(
    ("complete", "words"), [(True, f"holds the entry {NAME}"), (False, "the same command goes on")]
)
def test_train_says_where_the_run_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complete: bool, words: str
) -> None:
    given: dict[str, object] = {}

    def train(recipe: object, out: Path, **options: object) -> bool:
        given.update(options, out=out)
        return complete

    monkeypatch.setattr(rszoo.training, "train", train)
    command = ["train", NAME, "--out", str(tmp_path / "run"), "--time-limit", "1.5", "--download"]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert words in result.output
    assert str(tmp_path / "run") in result.output
    assert (given["time_limit"], given["download"], given["out"]) == (90, True, tmp_path / "run")
