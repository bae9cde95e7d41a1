"""`rszoo list`: the entries of the zoo, side by side."""

from collections.abc import Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Annotated, cast, get_args

from typer import Argument, Option

from rszoo.cli.names import complete_dataset
from rszoo.cli.options import Json, NormOption, parse_radii, radius_text
from rszoo.cli.output import print_json, print_table, print_text
from rszoo.errors import guess
from rszoo.logs.format import round_down, round_up
from rszoo.logs.tables import NOT_MEASURED
from rszoo.publishing.leaderboard import MEGABYTE, Filter, Key, Standing, ordered, standings
from rszoo.recipe import recipe_names
from rszoo.zoo.registry import bundled_folder, get_entry, list_models, staged_folder

COLUMNS = ("name", "dataset", "architecture", "method", "sigma", "weights", "size", "licence")
REPEATED = ("dataset", "architecture", "method", "sigma")
"""What a name says too."""
EVIDENCE = ("samples", "ACR", "n of ACR", "abstain", "images", "alpha")
SETTING = {
    "samples": "At most {} samples per image",
    "n of ACR": "ACR with n = {}",
    "alpha": "alpha = {}",
}
"""Columns that become words below the table where all rows have the same."""


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
            help="Also certified accuracy at these radii, in pixel units, from bundled logs.",
        ),
    ] = None,
    norm: NormOption = "l2",
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
    dataset: Annotated[
        str | None, Option(autocompletion=complete_dataset, help="Only entries of this data set.")
    ] = None,
    method: Annotated[str | None, Option(help="Only entries of this training method.")] = None,
    architecture: Annotated[str | None, Option(help="Only entries of this architecture.")] = None,
    sigma: Annotated[float | None, Option(help="Only entries of this sigma.")] = None,
    max_size: Annotated[
        float | None, Option(metavar="MB", help="Only entries whose weights take at most that.")
    ] = None,
    json: Json = False,
) -> None:
    """List the entries with weights, where these are, and what is certified about them."""
    radii = parse_radii(",".join(radius), largest=0.0) if radius else []
    order = _order(by, sort=sort, radii=radius)
    if isinstance(order, float):
        radii = sorted({*radii, order})
    certified = bool(radii) or order == "acr"
    wanted = Filter(
        dataset=dataset, architecture=architecture, method=method, sigma=sigma, max_size=max_size
    )
    names = set(list_models(pattern))
    if everything:
        names |= {name for name in recipe_names() if fnmatchcase(name, pattern)}
    asked = radii if certified or json else None
    rows = standings(sorted(names), asked, norm=norm, wanted=wanted)
    entries = ordered(rows, order)
    if not entries:
        check_words(wanted)
    if json:
        print_json([{**asdict(entry), "weights": place(entry.name)} for entry in entries])
    elif entries:
        _print(entries, radii if certified else None)
    else:
        narrowed = "" if wanted == Filter() else f" with {wanted}"
        print(
            f"No entry matches {pattern!r}{narrowed}; "
            "'rszoo list --all' prints the recipes as well."
        )


def place(name: str) -> str:
    """Where the weights of an entry are.

    "bundled", "staged", on the "hub", "missing" from this installation, or "none" yet.
    """
    if name not in list_models():
        return "none"
    folder = bundled_folder(name)
    if folder.is_dir():
        return "staged" if folder == staged_folder(name) else "bundled"
    return "missing" if get_entry(name).repo_id is None else "hub"


def check_words(wanted: Filter) -> None:
    """Raise ValueError where no recipe has the data set, architecture or method."""
    every = standings(recipe_names())
    for option in ("dataset", "architecture", "method"):
        word, known = getattr(wanted, option), sorted({getattr(entry, option) for entry in every})
        if word is not None and word not in known:
            raise ValueError(
                f"Expected --{option} of a recipe, got {word!r}; {guess(word, known)}"
                f"choose among {', '.join(known)}."
            )


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


def _print(entries: Sequence[Standing], radii: Sequence[float] | None) -> None:
    """Print a table, with the columns of the certificates unless `radii` is None."""
    rows, norm = [_facts(entry) for entry in entries], entries[0].norm
    if radii is None:
        print_table(COLUMNS, rows, facts=COLUMNS[1:], spare=REPEATED)
        return
    columns = (*COLUMNS, *(radius_text(radius, norm) for radius in radii), *EVIDENCE)
    rows = [row + _certificates(entry) for row, entry in zip(rows, entries, strict=True)]
    facts = (*COLUMNS[1:], "images")
    shared = print_table(columns, rows, facts=facts, spare=REPEATED, unsaid=tuple(SETTING))
    if words := [SETTING[column].format(cell) for column, cell in shared.items()]:
        print_text(f"{', '.join(words)}.")
    if any(entry.logs and None in entry.accuracies for entry in entries):
        print_text(NOT_MEASURED)
    if norm == "linf":
        from rszoo.logs.analysis.norms import LEGEND  # scipy is slow to import

        print_text(f"{LEGEND} The ACR is in l2.")


def _facts(entry: Standing) -> list[str]:
    size = entry.size or 0
    in_words = f"{size / 1000:.0f} kB" if size < MEGABYTE else f"{size / MEGABYTE:.1f} MB"
    return [
        entry.name,
        entry.dataset,
        entry.architecture,
        entry.method,
        str(entry.sigma),
        place(entry.name),
        "-" if entry.size is None else in_words,
        entry.license,
    ]


def _certificates(entry: Standing) -> list[str]:
    """Accuracies and ACR rounded down, abstentions up."""
    samples = sorted({n for n in entry.samples if n is not None})
    return [
        *("-" if share is None else round_down(share, 3) for share in entry.accuracies),
        ", ".join(map(str, samples)) or "-",
        "-" if entry.average_radius is None else round_down(entry.average_radius, 3),
        "-" if entry.n is None else str(entry.n),
        "-" if entry.abstention is None else round_up(entry.abstention, 3),
        "-" if entry.images is None else str(entry.images),
        "-" if entry.alpha is None else f"{entry.alpha:g}",
    ]
