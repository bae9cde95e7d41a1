"""`rszoo card`: print, write, and compare with the cards of the checkout."""

import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from PIL import Image
from support.commands import run
from support.evidence_folder import write_fixed

import rszoo.cli
from rszoo.publishing.cards import render_card
from rszoo.recipe import Recipe, recipe_folder, recipe_text
from rszoo.zoo.registry import bundled_folder

NAME = "cifar10-resnet20-gaussian-s0.25"
OTHER = "cifar10-resnet20-gaussian-s0.12"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cards of another checkout, of two entries: a card takes ten seconds."""
    folder = tmp_path / "checkout" / "model_cards"
    folder.mkdir(parents=True)
    shutil.copytree(recipe_folder(), folder.parent / "training_recipes")
    monkeypatch.setattr(
        sys.modules["rszoo.cli.card"], "recipe_folder", lambda: folder.parent / "training_recipes"
    )
    monkeypatch.setattr(sys.modules["rszoo.cli.card"], "_bundled", lambda: [NAME, OTHER])
    return folder


@pytest.mark.slow
def test_the_committed_cards_are_what_is_rendered() -> None:
    assert run("card", "--check").output.startswith("Cards compared, without a difference: ")


@pytest.mark.slow
def test_a_name_and_a_folder_print_the_card(entry: Path, recipe: Recipe) -> None:
    assert run("card", NAME).output == render_card(bundled_folder(NAME), recipe)
    for folder in (entry, f"local-dir:{entry}"):
        assert run("card", folder).output == render_card(entry, recipe)


def test_a_card_is_written_with_its_picture_beside_it(
    entry: Path, recipe: Recipe, tmp_path: Path
) -> None:
    run("card", entry, "--out", tmp_path / "a.md")
    assert not (tmp_path / f"{recipe.name}.png").exists()
    write_fixed(entry)
    run("card", entry, "--out", tmp_path / "README.md")
    assert (tmp_path / "README.md").read_bytes() == render_card(entry, recipe).encode()
    assert Image.open(tmp_path / f"{recipe.name}.png").size[0] == 900


def test_the_recipe_beside_the_weights_or_one_that_is_named(entry: Path, recipe: Recipe) -> None:
    (entry / "recipe.toml").write_text(
        recipe_text(recipe).replace("arxiv.org/abs/1902.02918", "example.org/paper")
    )
    family = recipe_folder() / "cifar10-resnet20-gaussian.toml"
    assert "https://example.org/paper" in run("card", entry).output
    assert (
        "https://example.org/paper" not in run("card", entry, "--recipe", f"{family}:0.25").output
    )


@pytest.mark.slow
def test_all_writes_what_check_compares(checkout: Path, recipe: Recipe) -> None:
    missing = run("card", "--check", code=1).output
    assert (
        f"{checkout / NAME}.md, line 1: expected '---', got None; run 'rszoo card --all'."
        in missing
    )
    assert run("card", "--all").output == "Cards written: 2.\n"
    path = checkout / f"{NAME}.md"
    assert path.read_bytes() == render_card(bundled_folder(NAME), recipe).encode()
    assert run("card", "--check", NAME).output == "Cards compared, without a difference: 1.\n"
    path.write_text(path.read_text().replace("license: mit", "license: gpl-3.0"))
    assert (
        "line 5: expected 'license: mit', got 'license: gpl-3.0'; run"
        in run("card", "--check", code=1).output
    )


@pytest.mark.slow
def test_a_staged_repository_gets_the_same_card(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = tmp_path / "hub"
    staged.mkdir()
    monkeypatch.setattr(
        import_module("rszoo.cli.card"),
        "staged_folder",
        lambda name: staged if name == NAME else tmp_path / "absent",
    )
    run("card", "--all")
    assert (staged / "README.md").read_bytes() == (checkout / f"{NAME}.md").read_bytes()
    assert (staged / f"{NAME}.png").is_file()
    run("card", "--check")
    (staged / "README.md").unlink()
    assert (
        f"{staged / 'README.md'}, line 1: expected '---', got None"
        in run("card", "--check", code=1).output
    )


def test_a_folder_is_no_place_for_a_card(tmp_path: Path, entry: Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"Expected a file for the card, got the folder '.*'; pass --out .*README\.md\.",
    ):
        run("card", entry, "--out", tmp_path)
    assert list(tmp_path.glob("*.png")) == []


def test_the_committed_cards_are_of_the_bundled_entries() -> None:
    folder = recipe_folder().parent / "model_cards"
    cards = list(folder.glob("*.md"))
    assert {card.stem for card in cards} == {
        name for name in rszoo.list_models() if bundled_folder(name).is_dir()
    }
    shown = {link for card in cards for link in re.findall(r"!\[.*?\]\((.*?)\)", card.read_text())}
    assert shown == {path.name for path in folder.iterdir()} - {card.name for card in cards} - {
        "zoo.png"
    }


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "Expected the name or the folder of an entry, got none"),
        (["cifar10-resnet20-gausian-s0.25"], f"did you mean '{NAME}'"),
        (["cifar10-resnet110-gaussian-s0.25"], "Expected weights of"),
        (["--all", NAME], "Expected --all alone"),
        (["--check", "--out", "x"], "Expected --out with one card"),
        (["/"], "Expected an entry's folder with a config.json"),
        ([NAME, "--out", "/nowhere/README.md"], "Expected to read or write '/nowhere/"),
        ([NAME, "--recipe", "none.toml"], "Expected a recipe's name or a .toml file"),
    ],
)
def test_errors_are_one_sentence(
    args: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["rszoo", "card", *args])
    with pytest.raises(SystemExit) as left:
        rszoo.cli.main()
    out, err = capsys.readouterr()
    assert (left.value.code, out, err.count("\n")) == (2, "", 1), err
    assert words in err


def test_no_torch_is_needed() -> None:
    code = "import sys, rszoo.publishing.cards, rszoo.cli.card\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
