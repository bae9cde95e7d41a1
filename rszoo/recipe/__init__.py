"""Recipes: everything that decides the weights of an entry, and how the entry is evaluated.

People write families of recipes as TOML (`families`); code reads one complete `Recipe` (`tables`).
"""

from rszoo.recipe.families import (
    load_recipe,
    parse_recipe,
    recipe_folder,
    recipe_names,
    recipe_text,
    toml_value,
)
from rszoo.recipe.tables import (
    SGD,
    AdamW,
    Certification,
    Cosine,
    Count,
    Extra,
    Fraction,
    Muon,
    Natural,
    NoiseKind,
    NonNegative,
    OneCycle,
    Parameter,
    Positive,
    Precision,
    Recipe,
    Step,
    Table,
    Training,
    sigma_text,
)

__all__ = [
    "SGD",
    "AdamW",
    "Certification",
    "Cosine",
    "Count",
    "Extra",
    "Fraction",
    "Muon",
    "Natural",
    "NoiseKind",
    "NonNegative",
    "OneCycle",
    "Parameter",
    "Positive",
    "Precision",
    "Recipe",
    "Step",
    "Table",
    "Training",
    "load_recipe",
    "parse_recipe",
    "recipe_folder",
    "recipe_names",
    "recipe_text",
    "sigma_text",
    "toml_value",
]
