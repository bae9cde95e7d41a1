"""`rszoo plot`: certified accuracy against radius, and accuracy under attack against distance."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from rszoo.cli.logs import (
    Anyway,
    GivenText,
    LowerBound,
    OptionalLogs,
    PublishedKeys,
    parse_given,
    read_logs,
)
from rszoo.logs.format import Log

if TYPE_CHECKING:
    from rszoo.logs.analysis import Given, Published
    from rszoo.plots import Curve

CERTIFIED = ": certified"  # in the legend, where there are attacks too
SUFFIXES = (".png", ".pdf", ".svg")


def plot(
    logs: OptionalLogs = None,
    *,
    out: Annotated[Path, Option(metavar="FILE", help="The picture: .png, .pdf or .svg.")] = Path(
        "plot.png"
    ),
    envelope: Annotated[bool, Option("--envelope", help="Also the best at each radius.")] = False,
    published: PublishedKeys = None,
    lower_bound: LowerBound = None,
    bound: Annotated[
        list[str] | None, Option(help="Also each log projected to this bound; can be repeated.")
    ] = None,
    alpha: Annotated[
        list[float] | None, Option(help="Also to this failure probability; can be repeated.")
    ] = None,
    n: Annotated[
        list[int] | None, Option(help="Also to this number of samples; can be repeated.")
    ] = None,
    given: GivenText = None,
    anyway: Anyway = False,
) -> None:
    """Draw the certified accuracy of logs against the radius, as exact steps; of attacks the accuracy under them."""
    check_out(out)
    _check_matplotlib()
    from rszoo.logs.analysis import check_comparable, find_published, is_attack
    from rszoo.logs.analysis.comparison import told_apart

    read, rows = read_logs(logs or []), find_published(published or [])
    if not read and not rows:
        raise ValueError(
            "Expected a log or --published KEY, got none; pass a log of 'rszoo evaluate'."
        )
    check_comparable(read, anyway=anyway)
    known = parse_given(given)
    attacks, read = (
        [log for log in read if is_attack(log)],
        [log for log in read if not is_attack(log)],
    )
    projections = [
        each
        for log in read
        for each in _projections(log, bound or [], alpha or [], n or [], given=known)
    ]
    from rszoo.plots import draw_curves, save_figure

    curves = [
        curve
        for log in told_apart([*read, *projections])
        for curve in _curves(log, rho=lower_bound, given=known)
    ]
    if envelope and read:
        curves.insert(0, _envelope(read))
    if attacks:
        curves = [
            replace(each, title=each.title + CERTIFIED) if each.kind == "curve" else each
            for each in curves
        ]
        curves += [_attacked(log) for log in told_apart(attacks)]
    counts: set[int | None] = {
        len({record.idx for record in log.records}) for log in [*read, *attacks]
    }
    counts = counts or {row.images for row in rows}
    images = counts.pop() if len(counts) == 1 else None
    curves += [_points(row, images) for row in rows]
    save_figure(draw_curves(curves, images=images), out, dpi=150)
    print(f"The picture is in {out}.")


def check_out(out: Path) -> None:
    """Raise ValueError or OSError unless a picture can be there."""
    if out.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"Expected --out to end in {', '.join(SUFFIXES)}, got {str(out)!r}; choose one of these."
        )
    if not out.resolve().parent.is_dir():
        raise FileNotFoundError(
            f"Expected a file in an existing folder, got --out {str(out)!r}; make the folder first."
        )
    if out.is_dir():
        raise IsADirectoryError(
            f"Expected a file, got --out {str(out)!r}, which is a folder; choose another name."
        )


def _check_matplotlib() -> None:
    if find_spec("matplotlib") is None:
        raise ValueError(
            "Expected matplotlib to be installed, got none; pip install 'rszoo[plots]'."
        )


def _projections(
    log: Log, bounds: Sequence[str], alphas: Sequence[float], ns: Sequence[int], *, given: "Given"
) -> Iterator[Log]:
    from rszoo.logs.analysis import project

    yield from (project(log, bound=bound, given=given) for bound in bounds)
    yield from (project(log, alpha=alpha, given=given) for alpha in alphas)
    yield from (project(log, n=n, given=given) for n in ns)


def _curves(log: Log, *, rho: float | None, given: "Given") -> "Iterator[Curve]":
    """The curve of a log, and below it the bound that holds at all radii at once."""
    from rszoo.logs.analysis import Projection, lower_bounds, proved, results
    from rszoo.logs.analysis.tabulation import level_of
    from rszoo.plots import Curve

    found = results(log)
    radii, accuracies = (values.tolist() for values in found.curve())
    yield Curve(log.title, radii, accuracies, of=log.subject)
    if rho is not None and not (isinstance(log, Projection) and log.estimated):
        below = lower_bounds(proved(log), radii, alpha=level_of(log, given), rho=rho)[1]
        yield Curve(f"thin: lower bound at all radii, rho={rho:g}", radii, below, "bound")


def _attacked(log: Log) -> "Curve":
    """The accuracy under attack at each distance."""
    from rszoo.logs.analysis import attacked_distances, empirical_rows
    from rszoo.plots import Curve

    (row,) = empirical_rows([log], attacked_distances([log]))
    title = f"{row.title}: {row.attack}, m={row.num_noise}, T={row.steps}, n={row.n}"
    return Curve(
        title, row.distances, [value or 0.0 for value in row.accuracies], "attack", of=log.subject
    )


def _points(row: "Published", images: int | None) -> "Curve":
    """The values of a paper; its number of images is told if it is not that of the axis."""
    from rszoo.plots import Curve

    other = "" if row.images in (images, None) else f", {row.images:,} images"
    return Curve(row.title + other, row.radii, row.accuracies, "points")


def _envelope(logs: Sequence[Log]) -> "Curve":
    """The highest of the drawn curves at each radius, between those that a sequential test had too."""
    from rszoo.logs.analysis import results
    from rszoo.plots import Curve

    found = [results(log) for log in logs]
    radii = sorted({radius for each in found for radius in each.curve()[0].tolist()})
    return Curve(
        "best of the logs",
        radii,
        [max(each.accuracy(radius) for each in found) for radius in radii],
        "envelope",
    )
