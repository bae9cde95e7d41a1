"""The files of an entry: their names, and which belong together."""

import re
from collections.abc import Sequence

CONFIG, WEIGHTS = "config.json", "model.safetensors"
RECIPE, CARD = "recipe.toml", "README.md"
FIXED_LOG, GRID_LOG = "certify.tsv", "certify-grid.tsv"
RUNS, EPOCHS = "runs.jsonl", "log.jsonl"

FILES = (CONFIG, WEIGHTS)
"""What every entry has."""
EVIDENCE = (FIXED_LOG, GRID_LOG)
"""CERTIFY with n votes per image, and at given radii."""
TWINS = ("certify-float32.tsv", "certify-bfloat16.tsv")
"""The first images of the fixed log, voted on in the other precision."""
TRAINING = (RUNS, EPOCHS)
"""One line per start of the training, and per epoch."""
BESIDE = (*EVIDENCE, *TWINS, *TRAINING)
"""What an entry may have besides."""


def published(name: str) -> Sequence[str]:
    """Every file that belongs to the Hub repository of an entry; publishing leaves others alone."""
    return (*FILES, *BESIDE, RECIPE, CARD, picture(name))


def picture(name: str) -> str:
    """The picture of an entry's card; named after the entry, so that cards can share a folder."""
    return re.sub(r"[^\w.+-]", "-", name) + ".png"  # a config from elsewhere may have any name
