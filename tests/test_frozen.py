"""What no change of the package's layout or words may alter.

`python tests/test_frozen.py` writes `frozen.json` anew; do that only for a change that is meant.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
import typer

import rszoo

ROOT = Path(__file__).parents[1]
FROZEN = Path(__file__).with_name("frozen.json")
ENTRIES = ("cifar10-resnet20-gaussian-s0.25", "cifar10-resnet20-smoothadv-finetuned-s1.00")
PHOTOGRAPHS = ("horse.jpg", "truck.jpg")
CARD = "cifar10-resnet20-smoothadv-finetuned-s0.50"
README_ROW = re.compile(r"\| (?:cifar10-|Cohen et al).*\|")


def recipes() -> dict[str, str]:
    from rszoo.recipe import load_recipe, recipe_names

    return {name: load_recipe(name).fingerprint for name in recipe_names()}


def noise() -> dict[str, str]:
    """SHA-256 of noisy copies of a grey image, which no network has seen."""
    from rszoo.smoothing.noise import Noise, Stream, grid_block, normal_block
    from rszoo.smoothing.requests import Stage

    stream, cpu = Stream(7, "grey", Stage.ESTIMATE), torch.device("cpu")
    drawn = {
        "float": normal_block(stream, 3, (3, 32, 32), cpu),
        "float, another shape": normal_block(stream, 0, (1, 28, 28), cpu),
        "grid, version 2": grid_block(stream, 3, (128, 32, 32, 3), Noise("grid", 0.25, 7, 2), cpu),
        "grid, version 2, sigma 1": grid_block(
            stream, 0, (2, 8, 8, 3), Noise("grid", 1, 7, 2), cpu
        ),
        "grid": grid_block(stream, 3, (128, 32, 32, 3), Noise("grid", 0.25, 7, 1), cpu)
        .permute(0, 3, 1, 2)
        .long(),
    }
    return {
        kind: hashlib.sha256(block.contiguous().numpy().tobytes()).hexdigest()
        for kind, block in drawn.items()
    }


def votes() -> dict[str, Any]:
    from rszoo.smoothing.runtime import device_name

    found: dict[str, Any] = {"processor": device_name(torch.device("cpu"))}
    for name in ENTRIES:
        classifier = rszoo.load(name)
        for photograph in PHOTOGRAPHS:
            with PIL.Image.open(ROOT / "rszoo" / "demo_images" / photograph) as image:
                certificate = classifier.certify(classifier.transform(image), n=500, seed=3)
            assert not isinstance(certificate, list)
            found[f"{name} {photograph}"] = [certificate.label, *certificate.counts]
    return found


def readme() -> list[str]:
    return README_ROW.findall((ROOT / "docs" / "results.md").read_text(encoding="utf-8"))


def card() -> list[str]:
    """All numbers of a card, in order."""
    from rszoo.publishing.cards import render_card
    from rszoo.recipe import load_recipe

    text = render_card(ROOT / "rszoo" / "entries" / CARD, load_recipe(CARD))
    return re.findall(r"\d+\.\d+|\d[\d,]*\d %|[0-9a-f]{64}", text)


def options() -> dict[str, list[str]]:
    """The options of each verb."""
    from rszoo.cli import app

    verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return {
        name: sorted(opt for each in verb.params for opt in each.opts)
        for name, verb in verbs.items()
    }


FACTS = {
    "recipes": recipes,
    "noise": noise,
    "votes": votes,
    "readme": readme,
    "card": card,
    "options": options,
}


@pytest.mark.parametrize("fact", FACTS)
def test_is_as_it_was(fact: str) -> None:
    frozen = json.loads(FROZEN.read_text(encoding="utf-8"))[fact]
    now: Any = FACTS[fact]()
    if fact == "votes" and frozen.pop("processor") != now.pop(
        "processor"
    ):  # processors of other kinds round otherwise
        for key, (label, *counts) in frozen.items():
            assert now[key][0] == label
            assert all(abs(new - old) <= 10 for new, old in zip(now[key][1:], counts, strict=True))
    elif fact == "recipes":  # there may be more
        assert frozen.items() <= now.items()
    else:
        assert now == frozen


if __name__ == "__main__":
    facts = {fact: make() for fact, make in FACTS.items()}
    FROZEN.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
