"""`rszoo table`: logs as the tables of papers."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, NamedTuple

from typer import Option

from rszoo.cli.names import complete_bound
from rszoo.cli.options import (
    LINF,
    Anyway,
    AtRadii,
    GivenTexts,
    Json,
    LowerBound,
    NormOption,
    OptionalLogs,
    PublishedKeys,
    check_certifies,
    note_unfinished,
    parse_radii,
    radius_text,
    read_logs,
)
from rszoo.cli.output import Format, print_json, print_table, print_text
from rszoo.logs.format import AttackProtocol, Log, PublishedProtocol, in_full, round_down
from rszoo.logs.tables import NOT_MEASURED, Table

if TYPE_CHECKING:
    from rszoo.logs.analysis import EmpiricalRow, PredictRow, Published
    from rszoo.logs.analysis.norms import Norm
    from rszoo.logs.analysis.tabulation import Row

PROJECTED = (
    "Projected: what these votes would have given in this setting. That is guaranteed only if n is "
    "the log's and the setting was chosen before the votes were drawn; the best of several is not."
)


class Tabulated(NamedTuple):
    """Rows with all their numbers, as a table, and lines below it.

    `setting`, n and alpha, is for terminals: elsewhere --json has them.
    """

    rows: "Sequence[Row | EmpiricalRow | PredictRow]"
    table: Table
    legend: Sequence[str] = ()
    setting: str = ""


def table(
    logs: OptionalLogs = None,
    *,
    radius: AtRadii = None,
    norm: NormOption = "l2",
    format: Annotated[Format, Option(help="How to print it.")] = "terminal",
    digits: Annotated[
        int, Option(min=1, max=6, help="Decimals; lower bounds are rounded down.")
    ] = 2,
    bound: Annotated[
        str | None,
        Option(
            autocompletion=complete_bound,
            help="Project to this bound: cohen, joint, tcertify, bonferroni, lecuyer, li. Choosing "
            "it after looking voids the guarantee.",
        ),
    ] = None,
    alpha: Annotated[
        float | None,
        Option(
            help="Project to this failure probability; choosing it after looking voids the "
            "guarantee."
        ),
    ] = None,
    n: Annotated[
        int | None,
        Option(help="Project to this number of samples: an estimate, no guarantee.", min=1),
    ] = None,
    given: GivenTexts = None,
    lower_bound: LowerBound = None,
    per_class: Annotated[
        bool, Option("--per-class", help="Also a row for each true class.")
    ] = False,
    envelope: Annotated[
        bool, Option("--envelope", help="Also the best at each radius, chosen by its result.")
    ] = False,
    published: PublishedKeys = None,
    anyway: Anyway = False,
    json: Json = False,
) -> None:
    """Tabulate logs: certified accuracy by radius (at 0: clean accuracy), ACR, abstentions.

    Logs of PREDICT, or of attacks beside CERTIFY, give tables of their own.
    """
    from rszoo.logs.analysis import check_comparable, project, with_marks

    read, papers = read_logs(logs, published, given)
    projected = (alpha, n, bound) != (None, None, None)
    if projected:
        read = [project(log, alpha=alpha, n=n, bound=bound) for log in read]
    check_comparable(read, anyway=anyway)  # after projecting: several n may have become one
    read = with_marks(read)
    if norm == "linf":
        check_certifies(read)
    if any(isinstance(log.protocol, AttackProtocol) for log in read):
        shown = _attacks(read, papers, radius, digits)
    elif read and not read[0].certifies:
        shown = _predictions(read, digits)
    else:
        shown = _certificates(
            read,
            papers,
            radius,
            norm=norm,
            digits=digits,
            rho=lower_bound,
            per_class=per_class,
            envelope=envelope,
        )
    note_unfinished(read)
    if json:
        print_json([asdict(row) for row in shown.rows])
        return
    print_table(shown.table.columns, shown.table.rows, format, facts=("sigma", "ACR", "images"))
    legend = (*shown.legend, *([PROJECTED] if projected else []))
    if format == "terminal" and sys.stdout.isatty():
        print_text("\n".join(filter(None, (shown.setting, *legend))))
    elif format in ("terminal", "markdown"):
        for line in legend:
            print(f"\n{line}")


def _certificates(
    logs: Sequence[Log],
    papers: "Sequence[Published]",
    radius: str | None,
    *,
    norm: "Norm",
    digits: int,
    rho: float | None,
    per_class: bool,
    envelope: bool,
) -> Tabulated:
    from rszoo.logs.analysis import results
    from rszoo.logs.analysis.norms import LEGEND
    from rszoo.logs.analysis.tabulation import (
        best_row,
        bound_rows,
        class_rows,
        log_row,
        published_row,
    )

    protocols = [log.protocol for log in logs]
    if any(isinstance(each, PublishedProtocol) and each.sigma_from_path for each in protocols):
        print("rszoo: sigma of the published files was read from their names.", file=sys.stderr)
    largest = max((float(results(log).radius.max()) for log in logs), default=0.0)
    radii = parse_radii(radius, largest=largest)
    if norm == "linf":
        radii = list(LINF) if radius is None else radii
    elif radius is None and all(log.tested_radii for log in logs):
        tested = [log.tested_radii or () for log in logs] or [row.radii for row in papers]
        radii = sorted({each for one in tested for each in one})
    rows = []
    for log in logs:
        rows.append(log_row(log, radii, norm))
        if rho is not None:
            rows += bound_rows(log, radii, norm, rho=rho)
        if per_class:
            rows += class_rows(log, radii, norm)
    legend = _footnotes(rows)  # a paper's dash means that it states nothing there
    if norm == "linf":
        legend.append(LEGEND)
    rows += [published_row(row, radii, norm) for row in papers]
    if envelope and logs:
        best = best_row(logs, radii, norm)
        rows.append(best)
        places = zip(best.best or (), best.names or (), strict=True)
        titles = sorted({(place, title) for place, title in places if place is not None})
        legend.append("Best: " + ", ".join(f"({place}) {title}" for place, title in titles))
    acr = "ACR" if norm == "l2" else "ACR in l2"
    heads = [radius_text(each, norm) for each in radii]
    columns = ["log", "sigma", *heads, acr, "abstain", "images"]
    table = Table(columns, [_cells(row, digits) for row in rows])
    return Tabulated(rows, table, legend, _setting(logs, rows))


def _setting(logs: Sequence[Log], rows: "Sequence[Row]") -> str:
    """n and alpha of the rows, first those that most rows have."""
    adaptive = {log.title for log in logs if log.protocol.adaptive}
    titles: dict[str, list[str]] = {}
    for row in rows:
        if row.kind in ("log", "published"):
            most = "at most" if row.title in adaptive else "="
            n = "n not stated" if row.n is None else f"n {most} {row.n}"
            alpha = "alpha not stated" if row.alpha is None else f"alpha = {row.alpha:g}"
            titles.setdefault(f"{n}, {alpha}", []).append(row.title)
    first, *others = sorted(titles, key=lambda words: -len(titles[words]))
    rest = "; ".join(f"of {', '.join(titles[words])}: {words}" for words in others)
    return f"Samples per image: {first}{f'; {rest}' if rest else ''}."


def _footnotes(rows: "Sequence[Row | EmpiricalRow]") -> list[str]:
    """Why an accuracy is missing, where one of a log is."""
    return [NOT_MEASURED] if any(None in row.accuracies for row in rows) else []


def _cells(row: "Row", digits: int) -> list[str]:
    down = row.kind == "lower bound"
    accuracies = [_number(accuracy, digits, down=down) for accuracy in row.accuracies]
    if row.best is not None:
        accuracies = [
            f"{cell} ({place})" if place else cell
            for cell, place in zip(accuracies, row.best, strict=True)
        ]
    return [
        f"  {row.title}" if row.kind in ("lower bound", "class") else row.title,
        "-" if row.sigma is None else in_full(row.sigma),
        *accuracies,
        # a paper's ACR as it is stated, ours rounded down like every radius
        _number(row.average_radius, 3, down=row.kind != "published"),
        _number(row.abstention, digits),
        _number(row.images, 0),
    ]


def _number(value: float | None, digits: int, *, down: bool = False) -> str:
    if value is None:
        return "-"
    return round_down(value, digits) if down else f"{value:.{digits}f}"


def _attacks(
    logs: Sequence[Log], papers: "Sequence[Published]", radius: str | None, digits: int
) -> Tabulated:
    """Accuracy under attack (at most these are robust) and certified (at least these)."""
    from rszoo.logs.analysis import attacked_distances, empirical_rows

    if papers:
        raise ValueError(
            "Expected no --published beside logs of attacks, got some; tabulate them by themselves."
        )
    distances = attacked_distances(logs) if radius is None else parse_radii(radius, largest=0.0)
    rows = empirical_rows(logs, distances)
    cells = []
    for row in rows:
        options = [_number(value, 0) for value in (row.num_noise, row.steps, row.n)]
        shares = [_number(value, digits) for value in row.accuracies]
        cells.append([row.title, row.attack or "certified", *options, *shares, str(row.images)])
        if row.kind == "attack":
            abstentions = [_number(value, digits) for value in row.abstentions]
            cells.append(["", "  abstains", "", "", "", *abstentions, ""])
    columns = ["log", "result", "m", "T", "n", *map(in_full, distances), "images"]
    return Tabulated(rows, Table(columns, cells), _footnotes(rows), _alphas(logs))


def _predictions(logs: Sequence[Log], digits: int) -> Tabulated:
    from rszoo.logs.analysis import predict_rows

    shares = ["correct_accurate", "correct_inaccurate", "incorrect_accurate"]
    shares += ["incorrect_inaccurate", "abstain"]
    rows = predict_rows(logs)
    cells = [
        [
            row.title,
            f"{row.n} (taken for g)" if row.reference else str(row.n),
            *(f"{getattr(row, share):.{digits}f}" for share in shares),
            str(row.images),
        ]
        for row in rows
    ]
    columns = ["log", "n", *(share.replace("_", ", ") for share in shares), "images"]
    if any(row.base_accuracy is not None for row in rows):
        columns.insert(-1, "base network")
        for line, row in zip(cells, rows, strict=True):
            line.insert(-1, _number(row.base_accuracy, digits))
    return Tabulated(rows, Table(columns, cells), setting=_alphas(logs))


def _alphas(logs: Sequence[Log]) -> str:
    """alpha of logs with a column for n."""
    known = sorted({log.protocol.alpha for log in logs if log.protocol.alpha is not None})
    return f"alpha = {' and '.join(f'{alpha:g}' for alpha in known)}." if known else ""
