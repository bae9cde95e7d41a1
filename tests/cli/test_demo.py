"""The demo, on a stand-in entry and on few samples; and its picture, from made-up data."""

import importlib
import tomllib
from pathlib import Path

import numpy as np
import pytest
from conftest import Complaint
from PIL import Image
from typer.testing import CliRunner

import rszoo
from rszoo.cli import app
from rszoo.cli.demo import PHOTOGRAPHS, _reading
from rszoo.cli.images import Voted
from rszoo.data.datasets import get_dataset
from rszoo.smoothing.certificate import ABSTAIN, Certificate

SOURCES = tomllib.loads((PHOTOGRAPHS / "SOURCES.toml").read_text())


def demo(*args: object) -> str:
    result = CliRunner().invoke(app, ["demo", *map(str, args)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_every_photograph_has_a_source() -> None:
    assert {path.name for path in PHOTOGRAPHS.iterdir()} - {"SOURCES.toml"} == set(SOURCES)
    for file, source in SOURCES.items():
        assert source["label"] in get_dataset("cifar10").classes
        assert all(source[key] for key in ("title", "author", "source", "licence", "changes")), file
        with Image.open(PHOTOGRAPHS / file) as image:
            assert min(image.size) >= 32


def test_the_table_and_the_picture(entry: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "picture.png"
    lines = demo("--name", f"local-dir:{entry}", "--n", 50, "--out", out).splitlines()
    table = lines[next(i for i, line in enumerate(lines) if line.startswith("image ")) :]
    outcomes = []
    for file, source in SOURCES.items():
        cells = next(line for line in table if line.startswith(file)).split()
        assert cells[1] == source["label"]
        right = {source["label"]: "yes", "abstain": "-"}.get(cells[2], "no")
        assert cells[-1] == right
        outcomes.append(right)
    assert f"{outcomes.count('yes')} of 6 labels are right, {outcomes.count('no')} wrong" in (
        " ".join(table)
    )
    with Image.open(out) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 500
        assert len(picture.convert("RGB").getcolors(10**7) or ()) > 1000


def certificate(label: int, selected: int) -> Certificate:
    rule = ("cohen", 0.25, "float", "float32", 0)
    return Certificate(label, 0.1, selected, 0.6, 0.4, 10, 100, 0.001, *rule, (70, 30))


@pytest.mark.parametrize(
    ("label", "shows", "words"),
    [
        (0, "dark", "70 are labelled dark, so the label is dark, which is right. The radius 0.100"),
        (0, "light", "so the label is dark, which is wrong, and certified all the same. The"),
        (ABSTAIN, "dark", "70 are labelled dark: too few to certify that label. So the classifier"),
    ],
)
def test_the_first_photograph_is_explained_in_words(
    shades: str, label: int, shows: str, words: str
) -> None:
    classifier = rszoo.load(shades)
    name = None if label == ABSTAIN else classifier.classes[label]
    image = Voted(Path("x.jpg"), certificate(label, 0), name, 1.0, False)
    said = _reading(classifier, image, shows)
    assert said.startswith(f"x.jpg shows: {shows}. Of its 100 noisy copies ")
    assert words in said
    assert "abstains" in said
    assert ("every pixel value may move by up to 1.84 of its 255 levels" in said) == (label == 0)


def test_the_picture_is_of_the_kind_that_its_name_says(entry: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "picture.pdf"
    demo("--name", f"local-dir:{entry}", "--n", 50, "--out", out)
    assert out.read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize("out", [".", "x.jpg", "folder.png"])
def test_a_place_for_no_picture_is_refused_before_certifying(
    out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: Complaint
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.png").mkdir()
    assert repr(out) in complaint("demo", "--name", "no-such-entry", "--out", out)


def test_without_matplotlib_the_table_still_prints(
    entry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("rszoo.cli.demo"), "find_spec", lambda name: None)
    text = demo("--name", f"local-dir:{entry}", "--n", 50, "--out", tmp_path / "no.png")
    assert "pip install 'rszoo[plots]'" in text
    assert all(file in text for file in SOURCES)
    assert not (tmp_path / "no.png").exists()


def test_the_picture_shows_the_votes_and_marks_a_wrong_label() -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.colors import to_hex
    from matplotlib.patches import Rectangle

    from rszoo.plots import OTHER, RIGHT, WRONG, Panel, draw_certificates

    pixels = np.full((4, 4, 3), 0.5)
    cases = [(0, 0, RIGHT), (1, 1, WRONG), (ABSTAIN, 1, "#000000")]
    panels = [
        Panel("cat", pixels, [pixels], certificate(label, selected), ["some words"])
        for label, selected, _ in cases
    ]
    figure = draw_certificates(panels, ("cat", "dog"), caption="The first row: a cat.")
    (caption,) = [text.get_text() for text in figure.texts]
    assert caption.startswith("The first row: a cat.\nColoured: the class that 10 separate copies")
    histograms = [ax for ax in figure.axes if ax.get_ylabel() == "share of votes"]
    assert len(histograms) == len(cases)
    for ax, (_, selected, color) in zip(histograms, cases, strict=True):
        assert [bar.get_height() for bar in ax.patches if isinstance(bar, Rectangle)] == [0.7, 0.3]
        expected = [OTHER, OTHER]
        expected[selected] = color
        assert [to_hex(bar.get_facecolor()) for bar in ax.patches] == [
            name.lower() for name in expected
        ]
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert [text for text in texts if text != "some words"] == ["cat", "dog", "abstains"]
