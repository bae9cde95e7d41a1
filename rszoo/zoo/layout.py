"""The files of an entry: what each is called and which belong together."""

import re
from collections.abc import Sequence

CONFIG, WEIGHTS = "config.json", "model.safetensors"
RECIPE, CARD = "recipe.toml", "README.md"
FIXED_LOG, GRID_LOG = "certify.tsv", "certify-grid.tsv"
RUNS, EPOCHS = "runs.jsonl", "log.jsonl"

FILES = (CONFIG, WEIGHTS)
EVIDENCE = (FIXED_LOG, GRID_LOG)
TWINS = ("certify-float32.tsv", "certify-bfloat16.tsv")
"""The first lines of the evidence, voted on in the other precision."""
TRAINING = (RUNS, EPOCHS)
"""Each start of the training, and each of its epochs."""
BESIDE = (*EVIDENCE, *TWINS, *TRAINING)


def published(name: str) -> Sequence[str]:
    """All files that the repository of the entry of that name may have; what else is in the repository is left alone."""
    return (*FILES, *BESIDE, RECIPE, CARD, picture(name))


def picture(name: str) -> str:
    """The file of the picture in an entry's card: of another name for each, so that cards may stand side by side."""
    return (
        re.sub(r"[^\w.+-]", "-", name) + ".png"
    )  # a config that was not made here may have any name
