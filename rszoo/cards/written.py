"""A recipe as TOML again."""

import json
from collections.abc import Iterator, Mapping
from typing import cast

import msgspec

from rszoo.recipe import Recipe


def recipe_text(recipe: Recipe) -> str:
    """The tables of a recipe but for `[about]`, which is prose; with that table again it is the same recipe."""
    tables = cast(dict[str, Mapping[str, object]], msgspec.to_builtins(recipe))
    return "\n\n".join(text for name, table in tables.items() if name != "about" for text in _tables(name, table))


def _tables(name: str, table: Mapping[str, object]) -> Iterator[str]:
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    yield "\n".join([f"[{name}]", *lines])
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _tables(f"{name}.{key}", value)
