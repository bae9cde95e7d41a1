"""A data set and a recipe of the tests, and what a run of it logs."""

import json
from pathlib import Path

import torch

from rszoo.recipe import Recipe, parse_recipe

CPU = torch.device("cpu")
BLOBS = """
classes = ["dark", "light"]
shape = [3, 32, 32]
mean = [0.5, 0.5, 0.5]
std = [0.3, 0.3, 0.3]
resize = 32
"""
RECIPE = """
[about]
summary = "A test."
paper = "none"
license = "MIT"
notes = ""
[model]
dataset = "blobs"
architecture = "resnet20"
sigma = 0.25
[method]
name = "gaussian"
[training]
epochs = 3
batch_size = 16
augmentation = "crop-flip"
precision = "float32"
seed = 0
OPTIONS
[training.optimizer]
name = "sgd"
momentum = 0.9
nesterov = true
weight_decay = 5e-4
[training.schedule]
name = "one-cycle"
rate = 0.1
warmup = 0.2
[inference]
precision = "float32"
noise = "float"
[certification]
split = "test"
stride = 1
n0 = 10
n = 100
alpha = 0.001
bound = "cohen"
seed = 0
"""

SGD = """
name = "sgd"
momentum = 0.9
nesterov = true
weight_decay = 5e-4
"""
OPTIMIZERS = {
    "sgd": SGD,
    "adamw": """
name = "adamw"
beta1 = 0.9
beta2 = 0.99
eps = 1e-8
weight_decay = 0.01
""",
    "muon": """
name = "muon"
momentum = 0.95
nesterov = true
weight_decay = 0.01
scaling = "original"
rest_rate = 0.05
[training.optimizer.rest]
name = "sgd"
momentum = 0.9
nesterov = true
weight_decay = 5e-4
""",
}
"""The table of each optimizer."""


def recipe_text(options: str = "", **replaced: str) -> str:
    text = RECIPE.replace("OPTIONS", options)
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    return text


def recipe(options: str = "", **replaced: str) -> Recipe:
    return parse_recipe(recipe_text(options, **replaced), "test")


def losses(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]
