"""`rszoo table`: logs as the tables of papers."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from typer import Option

from rszoo.cli.logs import (
    Anyway,
    GivenText,
    LowerBound,
    OptionalLogs,
    PublishedKeys,
    Radii,
    note_named_sigma,
    parse_given,
    parse_radii,
    read_logs,
)
from rszoo.cli.options import Json
from rszoo.cli.output import print_grid, print_json
from rszoo.logs.format import Log, round_down

if TYPE_CHECKING:
    from rszoo.logs.analysis import Given, Published
    from rszoo.logs.analysis.tabulation import Row

Format = Literal["terminal", "markdown", "latex", "csv"]


class Extras(NamedTuple):
    """The rows that are wanted beside those of the logs: lower bounds with failure probability rho, classes, the best."""

    rho: float | None
    per_class: bool
    envelope: bool


def table(
    logs: OptionalLogs = None,
    *,
    radius: Radii = None,
    format: Annotated[Format, Option(help="How to print it.")] = "terminal",
    digits: Annotated[
        int, Option(min=1, max=6, help="Decimals; lower bounds are rounded down.")
    ] = 2,
    bound: Annotated[
        str | None,
        Option(help="Project to this bound: cohen, joint, tcertify, bonferroni, lecuyer, li."),
    ] = None,
    alpha: Annotated[float | None, Option(help="Project to this failure probability.")] = None,
    n: Annotated[int | None, Option(help="Project to this number of samples.", min=1)] = None,
    given: GivenText = None,
    lower_bound: LowerBound = None,
    per_class: Annotated[
        bool, Option("--per-class", help="Also a row for each true class.")
    ] = False,
    envelope: Annotated[
        bool, Option("--envelope", help="Also the best at each radius, with the log's place.")
    ] = False,
    published: PublishedKeys = None,
    anyway: Anyway = False,
    json: Json = False,
) -> None:
    """Tabulate logs: certified accuracy at each radius (at 0: clean accuracy), ACR, abstentions; or PREDICT's; or attacks."""
    from rszoo.logs.analysis import check_comparable, find_published, is_attack
    from rszoo.logs.analysis.comparison import told_apart

    read, rows = read_logs(logs or []), find_published(published or [])
    if not read and not rows:
        raise ValueError(
            "Expected a log or --published KEY, got none; pass a log of 'rszoo evaluate'."
        )
    known = parse_given(given)
    if (alpha, n, bound) != (None, None, None):
        read = _projected(read, alpha=alpha, n=n, bound=bound, given=known)
    check_comparable(
        read, anyway=anyway
    )  # as they are tabulated: logs of several n may be projected to one
    read = told_apart(read)
    if any(map(is_attack, read)):
        _print_attacks(read, rows, radius, format=format, digits=digits, json=json)
        return
    if read and read[0].records and read[0].records[0].radius is None:
        _print_predictions(read, format=format, digits=digits, json=json)
        return
    note_named_sigma(read, known)
    extras = Extras(lower_bound, per_class, envelope)
    _print_certificates(
        _certificates(read, rows, radius, known, extras=extras),
        format=format,
        digits=digits,
        json=json,
    )


def _projected(
    logs: Sequence[Log], *, alpha: float | None, n: int | None, bound: str | None, given: "Given"
) -> list[Log]:
    from rszoo.logs.analysis import project

    return [project(log, alpha=alpha, n=n, bound=bound, given=given) for log in logs]


def _certificates(
    logs: Sequence[Log],
    published: "Sequence[Published]",
    radius: str | None,
    given: "Given",
    *,
    extras: Extras,
) -> "list[Row]":
    from rszoo.logs.analysis import results, tested_radii
    from rszoo.logs.analysis.tabulation import best_row, log_rows, published_row

    found = [results(log) for log in logs]
    largest = max([0.0, *(float(each.radius.max()) for each in found)])
    radii = parse_radii(radius, largest=largest)
    if radius is None and logs and all(map(tested_radii, logs)):
        radii = sorted({tested for log in logs for tested in tested_radii(log) or ()})
    if not logs and radius is None:
        radii = sorted({stated for row in published for stated in row.radii})
    rows = []
    for log in logs:
        rows += log_rows(log, radii, given=given, rho=extras.rho, per_class=extras.per_class)
    rows += [published_row(row, radii) for row in published]
    return [*rows, best_row(logs, radii)] if extras.envelope and logs else rows


def _print_certificates(rows: "Sequence[Row]", *, format: Format, digits: int, json: bool) -> None:
    if json:
        print_json([asdict(row) for row in rows])
        return
    columns = (
        "log",
        "sigma",
        *(f"{radius:g}" for radius in rows[0].radii),
        "ACR",
        "abstain",
        "images",
    )
    print_grid(columns, [_cells(row, digits) for row in rows], format)
    if (
        format in ("terminal", "markdown")
        and rows[-1].best is not None
        and rows[-1].names is not None
    ):
        titles = {
            place: title
            for place, title in zip(rows[-1].best, rows[-1].names, strict=True)
            if place is not None
        }
        print("\nBest: " + ", ".join(f"({place}) {titles[place]}" for place in sorted(titles)))


def _cells(row: "Row", digits: int) -> list[str]:
    def shown(value: float | None, places: int = digits) -> str:
        if value is None:
            return "-"
        return round_down(value, places) if row.kind == "lower bound" else f"{value:.{places}f}"

    accuracies = [shown(value) for value in row.accuracies]
    if row.best is not None:
        accuracies = [
            f"{cell} ({place})" if place else cell
            for cell, place in zip(accuracies, row.best, strict=True)
        ]
    acr = shown(row.average_radius, 3)
    if row.kind != "published" and row.average_radius is not None:
        acr = round_down(
            row.average_radius, 3
        )  # as every radius; that of a paper is printed as stated
    indented = row.title if row.kind in ("log", "published", "best") else f"  {row.title}"
    return [
        indented,
        "-" if row.sigma is None else f"{row.sigma:g}",
        *accuracies,
        acr,
        shown(row.abstention),
        "-" if row.images is None else str(row.images),
    ]


def _print_attacks(
    logs: Sequence[Log],
    published: "Sequence[Published]",
    radius: str | None,
    *,
    format: Format,
    digits: int,
    json: bool,
) -> None:
    """Accuracy under attack, at most which images are robust, and certified accuracy, at least which, in one table."""
    from rszoo.logs.analysis import attacked_distances, empirical_rows

    if published:
        raise ValueError(
            "Expected no --published beside logs of attacks, got some; tabulate them by themselves."
        )
    distances = attacked_distances(logs) if radius is None else parse_radii(radius, largest=0.0)
    rows = empirical_rows(logs, distances)
    if json:
        print_json([asdict(row) for row in rows])
        return
    columns = ("log", "result", "m", "T", "n", *(f"{eps:g}" for eps in distances), "images")
    cells = []
    for row in rows:
        numbers = [
            "-" if value is None else str(value) for value in (row.num_noise, row.steps, row.n)
        ]
        cells.append(
            [
                row.title,
                row.attack or "certified",
                *numbers,
                *_shares(row.accuracies, digits),
                str(row.images),
            ]
        )
        if row.kind == "attack":
            cells.append(["", "  abstains", "", "", "", *_shares(row.abstentions, digits), ""])
    print_grid(columns, cells, format)


def _shares(values: Sequence[float | None], digits: int) -> list[str]:
    return ["-" if value is None else f"{value:.{digits}f}" for value in values]


def _print_predictions(logs: Sequence[Log], *, format: Format, digits: int, json: bool) -> None:
    from rszoo.logs.analysis import predict_rows

    rows = predict_rows(logs)
    if json:
        print_json([asdict(row) for row in rows])
        return
    columns = (
        "log",
        "n",
        "correct, accurate",
        "correct, inaccurate",
        "incorrect, accurate",
        "incorrect, inaccurate",
    )
    cells = []
    for row in rows:
        shares = (
            row.correct_accurate,
            row.correct_inaccurate,
            row.incorrect_accurate,
            row.incorrect_inaccurate,
            row.abstain,
        )
        n = f"{row.n} (taken for g)" if row.reference else str(row.n)
        cells.append([row.title, n, *(f"{share:.{digits}f}" for share in shares), str(row.images)])
    print_grid((*columns, "abstain", "images"), cells, format)
