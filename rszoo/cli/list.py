"""`rszoo list`: the entries of the zoo, side by side."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Annotated, cast, get_args

from typer import Argument, Option

from rszoo.cli.logs import parse_radii
from rszoo.cli.options import Json
from rszoo.cli.output import print_json, print_table
from rszoo.logs.format import round_down
from rszoo.publishing.leaderboard import MEGABYTE, Filter, Key, Standing, ordered, standings
from rszoo.recipe import recipe_names
from rszoo.zoo.registry import bundled_folder, get_entry, list_models, staged_folder

COLUMNS = ("name", "dataset", "architecture", "method", "sigma", "weights", "size", "licence")
EVIDENCE = ("samples", "ACR", "n of ACR", "abstain", "images", "alpha")


def list_entries(
    pattern: Annotated[
        str, Argument(metavar="[PATTERN]", help="A shell pattern such as 'cifar10-*-s0.25'.")
    ] = "*",
    *,
    everything: Annotated[
        bool, Option("--all", help="Also the recipes that have no weights yet.")
    ] = False,
    radius: Annotated[
        list[str] | None,
        Option(
            metavar="R,R,...",
            help="Also the certified accuracy at these l2 radii, in pixel units, from bundled logs.",
        ),
    ] = None,
    sort: Annotated[
        bool, Option("--sort", help="The best first: at the first --radius; without one, by ACR.")
    ] = False,
    by: Annotated[
        str | None,
        Option(
            metavar="R|acr|name|dataset|method|sigma|size",
            help="Another order; certified accuracy at R and ACR: largest first.",
        ),
    ] = None,
    dataset: Annotated[str | None, Option(help="Only entries of this data set.")] = None,
    method: Annotated[str | None, Option(help="Only entries of this training method.")] = None,
    architecture: Annotated[str | None, Option(help="Only entries of this architecture.")] = None,
    sigma: Annotated[float | None, Option(help="Only entries of this sigma.")] = None,
    max_size: Annotated[
        float | None, Option(metavar="MB", help="Only entries whose weights take at most that.")
    ] = None,
    json: Json = False,
) -> None:
    """List the entries that can be loaded, where their weights are, and what is certified of them."""
    radii = parse_radii(",".join(radius), largest=0.0) if radius else []
    order = _order(by, sort=sort, radii=radius)
    if isinstance(order, float):
        radii = sorted({*radii, order})
    certified = bool(radii) or order == "acr"
    wanted = Filter(
        dataset=dataset, architecture=architecture, method=method, sigma=sigma, max_size=max_size
    )
    names = _names(pattern, everything=everything)
    found = ordered(standings(names, radii if certified or json else None, wanted=wanted), order)
    if json:
        print_json([{**asdict(each), "weights": place(each.name)} for each in found])
    elif found:
        _print(found, radii if certified else None)
    else:
        narrowed = "" if wanted == Filter() else f" with {wanted}"
        print(
            f"No entry matches {pattern!r}{narrowed}; 'rszoo list --all' prints the recipes as well."
        )


def place(name: str) -> str:
    """Where the weights of an entry are: "bundled", "staged", "hub", "missing" from this installation, or "none" yet."""
    if name not in list_models():
        return "none"
    folder = bundled_folder(name)
    if folder.is_dir():
        return "staged" if folder == staged_folder(name) else "bundled"
    return "missing" if get_entry(name).repo_id is None else "hub"


def _names(pattern: str, *, everything: bool) -> list[str]:
    names = set(list_models(pattern))
    if everything:
        names |= {name for name in recipe_names() if fnmatchcase(name, pattern)}
    return sorted(names)


def _order(by: str | None, *, sort: bool, radii: Sequence[str] | None) -> float | Key:
    if by is not None and sort:
        raise ValueError(
            f"Expected --sort (the best first) or --by, got both, with --by {by}; keep one."
        )
    if sort:
        by = ",".join(radii).split(",")[0] if radii else "acr"
    if by is None:
        return "name"
    if by in get_args(Key):
        return cast(Key, by)
    try:
        (radius,) = parse_radii(by, largest=0.0)
    except ValueError as error:
        raise ValueError(
            f"Expected --by {'|'.join(get_args(Key))} or a radius, got {by!r}; write --by 0.5."
        ) from error
    return radius


def _print(found: Sequence[Standing], radii: Sequence[float] | None) -> None:
    """With the columns of the certificates unless `radii` is None."""
    if radii is None:
        print_table(COLUMNS, [_facts(each) for each in found])
        return
    columns = (*COLUMNS, *(f"{radius:g}" for radius in radii), *EVIDENCE)
    rows = [[*_facts(each), *_certificates(each)] for each in found]
    if not sys.stdout.isatty():
        print_table(columns, rows)
        return
    kept, common = told_apart(columns, rows)
    print_table(
        [columns[place] for place in kept], [[row[place] for place in kept] for row in rows]
    )
    if common:
        print("All: " + ", ".join(common))


def told_apart(
    columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[list[int], list[str]]:
    """The columns that a terminal has to show, and what is the same in all rows: facts of the entries and of their evidence."""
    same = {
        place
        for place, column in enumerate(columns)
        if column in (*COLUMNS[1:], *EVIDENCE[2:])
        and len(rows) > 1
        and len({row[place] for row in rows}) == 1
    }
    kept = [place for place in range(len(columns)) if place not in same]
    return kept, [f"{columns[place]} {rows[0][place]}" for place in sorted(same)]


def _facts(standing: Standing) -> list[str]:
    return [
        standing.name,
        standing.dataset,
        standing.architecture,
        standing.method,
        str(standing.sigma),
        place(standing.name),
        _known(standing.size, _size),
        standing.license,
    ]


def _certificates(standing: Standing) -> list[str]:
    """Accuracies and ACR rounded down, abstentions up."""
    return [
        *(_known(accuracy, _down) for accuracy in standing.accuracies),
        ", ".join(map(str, sorted({n for n in standing.samples if n is not None}))) or "-",
        _known(standing.average_radius, _down),
        _known(standing.n, str),
        _known(standing.abstention, lambda share: round_down(-share, 3).removeprefix("-")),  # up
        _known(standing.images, str),
        _known(standing.alpha, lambda alpha: f"{alpha:g}"),
    ]


def _known(value: float | None, text: Callable[[float], str]) -> str:
    return "-" if value is None else text(value)


def _down(value: float) -> str:
    return round_down(value, 3)


def _size(size: float) -> str:
    return f"{size / 1000:.0f} kB" if size < MEGABYTE else f"{size / MEGABYTE:.1f} MB"
