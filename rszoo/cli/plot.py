"""`rszoo plot`: certified accuracy against radius, and accuracy under attack against distance."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option

from rszoo.cli.names import complete_bound
from rszoo.cli.options import (
    Anyway,
    GivenTexts,
    LowerBound,
    NormOption,
    OptionalLogs,
    PublishedKeys,
    check_certifies,
    note_unfinished,
    read_logs,
)
from rszoo.logs.format import AttackProtocol, Log

if TYPE_CHECKING:
    from rszoo.logs.analysis import Published
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
    panels: Annotated[
        Literal["sigma"] | None,
        Option(
            help="One panel for each sigma, where entries look the same that differ in it.",
            show_default="one for all",
        ),
    ] = None,
    published: PublishedKeys = None,
    norm: NormOption = "l2",
    lower_bound: LowerBound = None,
    bound: Annotated[
        list[str] | None,
        Option(
            autocompletion=complete_bound,
            help="Also each log projected to this bound; can be repeated. Choosing one of them "
            "after looking voids the guarantee.",
        ),
    ] = None,
    alpha: Annotated[
        list[float] | None,
        Option(
            help="Also to this failure probability; can be repeated. Choosing one of them after "
            "looking voids the guarantee."
        ),
    ] = None,
    n: Annotated[
        list[int] | None,
        Option(help="Also to this number of samples: an estimate, no guarantee; can be repeated."),
    ] = None,
    given: GivenTexts = None,
    anyway: Anyway = False,
) -> None:
    """Draw the certified accuracy of logs against the radius, as exact steps.

    For attacks, draw the accuracy under attack against the distance. Too many
    curves to tell apart become thin lines without names, below the best at each radius.
    """
    check_out(out)
    from rszoo.logs.analysis import check_comparable, project, with_marks
    from rszoo.plots import crowded, draw_curves, published_points, save_figure

    read, papers = read_logs(logs, published, given)
    check_comparable(read, anyway=anyway)
    if norm == "linf":
        check_certifies(read)
    attacks = [log for log in read if isinstance(log.protocol, AttackProtocol)]
    certified = [log for log in read if not isinstance(log.protocol, AttackProtocol)]
    shown = list(certified)
    for log in certified:
        shown += [project(log, bound=value) for value in bound or []]
        shown += [project(log, alpha=value) for value in alpha or []]
        shown += [project(log, n=value) for value in n or []]
    curves = [curve for log in with_marks(shown) for curve in _curves(log, lower_bound)]
    by_sigma = panels == "sigma"
    if envelope or crowded(curves, by_sigma=by_sigma):
        curves = [*_envelopes(certified, by_sigma=by_sigma), *curves]
    if attacks:
        curves = [
            replace(curve, title=curve.title + CERTIFIED) if curve.kind == "curve" else curve
            for curve in curves
        ]
        curves += [_attacked(log) for log in with_marks(attacks)]
    counts: set[int | None] = {len({record.idx for record in log.records}) for log in read}
    counts = counts or {row.images for row in papers}
    images = counts.pop() if len(counts) == 1 else None
    curves += [published_points(row, row.title, images) for row in papers]
    if norm == "linf":
        curves = [_implied(curve, _pixel_values(read, papers)) for curve in curves]
    figure = draw_curves(curves, images=images, by_sigma=by_sigma)
    if norm == "linf":
        label = r"$\ell_\infty$ radius implied by $\ell_2$, in units of 1/255"
        for axes in figure.axes:
            if axes.get_xlabel():
                axes.set_xlabel(label)
    save_figure(figure, out, dpi=150)
    note_unfinished(read)
    print(f"The picture is in {out}.")


def check_out(out: Path) -> None:
    """Raise ValueError or OSError unless a picture can be there."""
    if out.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"Expected --out to end in {', '.join(SUFFIXES)}, got {str(out)!r}; "
            "choose one of these."
        )
    if not out.resolve().parent.is_dir():
        raise FileNotFoundError(
            f"Expected a file in an existing folder, got --out {str(out)!r}; make the folder first."
        )
    if out.is_dir():
        raise IsADirectoryError(
            f"Expected a file, got --out {str(out)!r}, which is a folder; choose another name."
        )


def _curves(log: Log, rho: float | None) -> "Iterator[Curve]":
    """The curve of a log, and below it the bound that holds at all radii at once."""
    from rszoo.logs.analysis import Projection, proved, results
    from rszoo.plots import accuracy_curve, bound_curve

    sigma = log.protocol.sigma
    curve = accuracy_curve(log.title, results(log), of=log.protocol.title, sigma=sigma)
    yield curve
    if rho is not None and not (isinstance(log, Projection) and log.estimated):
        yield bound_curve(proved(log), curve, alpha=log.setting.alpha, rho=rho)


def _pixel_values(logs: Sequence[Log], papers: "Sequence[Published]") -> int:
    """The number of values of an image, the same for all."""
    from rszoo.data.shapes import pixel_values
    from rszoo.logs.analysis.norms import values_of

    known = {values_of(log) for log in logs} | {pixel_values(row.dataset) for row in papers}
    if len(known) > 1:
        raise ValueError(
            f"Expected images of one size for --norm linf, got {sorted(known)} values per image; "
            "plot data sets by themselves."
        )
    return known.pop()


def _implied(curve: "Curve", values: int) -> "Curve":
    """The curve over the l-infinity radii that its l2 radii imply, in units of 1/255."""
    from rszoo.bounds import implied_linf

    radii = [255 * implied_linf(radius, values) for radius in curve.radii]
    end = 255 * implied_linf(curve.end, values) if math.isfinite(curve.end) else curve.end
    return replace(curve, radii=radii, end=end)


def _attacked(log: Log) -> "Curve":
    """The accuracy under attack at each distance."""
    from rszoo.logs.analysis import attacked_distances, empirical_rows
    from rszoo.plots import Curve

    (row,) = empirical_rows([log], attacked_distances([log]))
    title = f"{row.title}: {row.attack}, m={row.num_noise}, T={row.steps}, n={row.n}"
    accuracies = [accuracy or 0.0 for accuracy in row.accuracies]
    of, sigma = log.protocol.title, log.protocol.sigma
    return Curve(title, row.distances, accuracies, "attack", of=of, sigma=sigma)


def _envelopes(logs: Sequence[Log], *, by_sigma: bool) -> "Iterator[Curve]":
    """The envelope of all logs, or of those of each sigma."""
    if not by_sigma:
        yield from [_envelope(logs)] if logs else []
        return
    for sigma in dict.fromkeys(log.protocol.sigma for log in logs):
        alike = [log for log in logs if log.protocol.sigma == sigma]
        yield replace(_envelope(alike), sigma=sigma)


def _envelope(logs: Sequence[Log]) -> "Curve":
    """The highest of the curves at each radius, also between the radii of a sequential test."""
    from rszoo.logs.analysis import results
    from rszoo.plots import Curve

    summaries = [results(log) for log in logs]
    radii = sorted({radius for each in summaries for radius in each.curve()[0].tolist()})
    highest = [max(each.accuracy(radius) for each in summaries) for radius in radii]
    end = max(each.reach for each in summaries)
    return Curve("best of the logs", radii, highest, "envelope", end=end)
