"""A commented recipe to start from."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from rszoo.architectures import build
from rszoo.data.datasets import get_dataset
from rszoo.recipe import Recipe, Table, load_recipe, recipe_names, sigma_text, toml_value
from rszoo.training.methods import METHODS, build_method

NAME = re.compile(
    r"(?P<dataset>[^-]+)-(?P<architecture>.+?)-"
    rf"(?P<method>{'|'.join(METHODS)})(-(?P<variant>.+?))??(-s(?P<sigma>\d+\.\d+))?"
)
ATTRIBUTE = re.compile(r"^ +(\w+): (.+?)\.?$", re.MULTILINE)
"""A key and its comment, in the docstring of a table or method."""


def recipe_template(name: str) -> str:
    """The text of a recipe for a new entry or family: complete, with a comment on every key.

    The values are those of the nearest recipe in the zoo, and in [method] those of the nearest
    one of that method. The text is a family of one sigma.

    Args:
        name: <dataset>-<architecture>-<method>[-<variant>][-s<sigma>].

    Raises:
        ValueError: the name has another form, or there is no such data set, architecture or method.
    """
    parts = NAME.fullmatch(name)
    if parts is None or parts["sigma"] not in (None, sigma_text(_sigma(parts))):
        raise ValueError(
            f"Expected a name such as cifar10-resnet20-smoothadv-s0.25, got {name!r}; "
            f"sigma has two decimals, and the methods are {', '.join(METHODS)}."
        )
    dataset = get_dataset(parts["dataset"])
    normalization = {"mean": dataset.mean, "std": dataset.std}
    build(parts["architecture"], num_classes=dataset.num_classes, **normalization)  # is there one?
    recipes = _nearest(parts)
    example = next(recipe for recipe in recipes if recipe.method_name == parts["method"])
    return _text(parts, recipes[0], example)


def _nearest(parts: re.Match[str]) -> list[Recipe]:
    """All recipes, in order of what they share with the name."""
    streamed = get_dataset(parts["dataset"]).files is not None

    def distance(recipe: Recipe) -> tuple[float, ...]:
        model = recipe.model
        return (
            (get_dataset(model.dataset).files is not None) != streamed,
            model.dataset != parts["dataset"],
            model.architecture != parts["architecture"],
            recipe.method_name != parts["method"],
            model.variant != parts["variant"],
            bool(recipe.training.init_from or recipe.training.extra),
            len(recipe.method),
            abs(model.sigma - _sigma(parts)),
        )

    return sorted(map(load_recipe, recipe_names()), key=distance)


def _sigma(parts: re.Match[str]) -> float:
    return float(parts["sigma"] or 0.25)


def _text(parts: re.Match[str], base: Recipe, example: Recipe) -> str:
    """The tables of `base` for another name, with the hyper-parameters of `example`."""
    method = build_method(example.method)
    taught = {key: getattr(example.training, key) for key in ("teacher", "teacher_votes")}
    tables = {
        "about": replace(
            base.about, summary=f"{_summary(method)}.", paper=example.about.paper, notes=""
        ),
        "model": replace(
            base.model,
            **{key: parts[key] for key in ("dataset", "architecture", "variant")},
        ),
        "method": method,
        "training": replace(base.training, **taught),
        "inference": replace(base.inference, noise="grid"),
        "certification": base.certification,
    }
    values = msgspec.to_builtins(tables)
    values["method"] = {"name": parts["method"], **values["method"]}
    return "\n\n".join(
        [
            f"# The values are those of {base.name}; in [method], those of {example.name}.",
            *(text for key in tables for text in _table(key, tables[key], values[key])),
            "# One table per sigma, with what differs, such as training.epochs = 40.\n"
            f'[sigma."{sigma_text(_sigma(parts))}"]\n',
        ]
    )


def _table(header: str, table: object, values: Mapping[str, Any]) -> Iterator[str]:
    """The table under its header, absent keys as comments; then the tables in it."""
    lines = [f"[{header}]  # {_summary(table)}"]
    for key, comment in _comments(type(table)).items():
        if key == "sigma":  # the last table has it
            continue
        if key not in values:
            lines.append(f"# {key} = ...  # {comment}")
        elif not isinstance(values[key], Mapping):
            lines.append(f"{key} = {toml_value(values[key])}  # {comment}")
    yield "\n".join(lines)
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _table(f"{header}.{key}", getattr(table, key), value)


def _summary(table: object) -> str:
    return (type(table).__doc__ or "").partition("\n")[0].removesuffix(".")


def _comments(kind: type) -> dict[str, str]:
    """The comment on each key of a table or method, in order."""
    method = {} if issubclass(kind, Table) else {"name": f"one of {', '.join(METHODS)}"}
    docs = [base.__doc__ or "" for base in reversed(kind.__mro__)]
    return method | {key: text for doc in docs for key, text in ATTRIBUTE.findall(doc)}
