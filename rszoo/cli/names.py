"""Names on the command line: short forms of entries' names, and what a shell completes."""

from collections.abc import Sequence
from pathlib import Path

from rszoo.recipe import recipe_names
from rszoo.zoo.registry import HUB_PREFIX, is_path, list_models

OMITTED = 2  # of <dataset>-<architecture>-<method>...: what a short form may leave out


def full_name(name: str) -> str:
    """The entry, or else the recipe, that a name is short for; other names as they are.

    A short form lacks the data set, or data set and architecture, and fits one name only:
    gaussian-s0.25 for cifar10-resnet20-gaussian-s0.25.
    """
    models, recipes = list_models(), recipe_names()
    if name in models or name in recipes or name.startswith(HUB_PREFIX):
        return name
    if is_path(name) or Path(name).exists():
        return name
    for known in (models, recipes):
        meant = [
            other
            for other in known
            if other.endswith(f"-{name}") and other.removesuffix(f"-{name}").count("-") < OMITTED
        ]
        if meant:
            return meant[0] if len(meant) == 1 else name
    return name


def without_common_start(titles: Sequence[str]) -> tuple[str, list[str]]:
    """The start that all entries' names share, and the titles without it.

    It is empty unless each of the shorter names is understood; see `full_name`. Titles that do not
    begin with an entry's name stay as they are.
    """
    known = {*list_models(), *recipe_names()}
    names = {title.partition(" ")[0] for title in titles} & known
    if len(names) > 1:
        first = min(names).split("-")
        for count in range(OMITTED, 0, -1):
            start = "-".join([*first[:count], ""])
            if all(full_name(name.removeprefix(start)) == name for name in names) and all(
                name.startswith(start) for name in names
            ):
                return start, [
                    title.removeprefix(start) if title.partition(" ")[0] in names else title
                    for title in titles
                ]
    return "", list(titles)


def complete_entry(incomplete: str) -> list[str]:
    """The entries with weights that begin so, or whose short forms do."""
    names = list_models()
    short = [name.split("-", OMITTED)[-1] for name in names]
    short = [form for form, name in zip(short, names, strict=True) if full_name(form) == name]
    return [form for form in (*names, *short) if form.startswith(incomplete)]


def complete_recipe(incomplete: str) -> list[str]:
    """The recipes that begin so, with weights or without."""
    return [name for name in recipe_names() if name.startswith(incomplete)]


def complete_dataset(incomplete: str) -> list[str]:
    """The data sets that begin so."""
    from rszoo.data.shapes import SHAPES

    return [name for name in SHAPES if name.startswith(incomplete)]


def complete_bound(incomplete: str) -> list[str]:
    """The radius rules that begin so."""
    from rszoo.bounds import BOUNDS, SOFT_BOUNDS  # scipy is slow to import

    return [name for name in (*BOUNDS, *SOFT_BOUNDS) if name.startswith(incomplete)]
