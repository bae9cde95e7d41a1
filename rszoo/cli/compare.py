"""`rszoo compare`: two logs, image by image."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument

from rszoo.cli.options import (
    LINF,
    Anyway,
    AtRadii,
    Json,
    NormOption,
    note_unfinished,
    open_log,
    parse_radii,
    radius_text,
)
from rszoo.cli.output import print_json, print_table, print_text, round_up
from rszoo.logs.format import Log, PublishedProtocol
from rszoo.logs.tables import NOT_MEASURED

if TYPE_CHECKING:
    from rszoo.logs.analysis.comparison import Comparison, Pair


def compare(
    first: Annotated[Path, Argument(metavar="A", help="A log of CERTIFY.")],
    second: Annotated[Path, Argument(metavar="B", help="Another, on the same images.")],
    *,
    radius: AtRadii = None,
    norm: NormOption = "l2",
    anyway: Anyway = False,
    json: Json = False,
) -> None:
    """Compare two logs on the images that both have.

    Prints how many images only one of them certifies, with McNemar's exact test, and the difference
    of the ACRs.
    """
    from rszoo.logs.analysis import check_comparable, results, with_marks
    from rszoo.logs.analysis import compare as compared

    a, b = with_marks([open_log(first), open_log(second)])
    check_comparable([a, b], anyway=anyway)
    tested = a.tested_radii or b.tested_radii
    if tested is not None:
        tested = tuple(each for each in tested if all(results(log).answers(each) for log in (a, b)))
    if norm == "linf":
        radii = list(LINF) if radius is None else parse_radii(radius, largest=0.0)
        comparison = _implied(a, b, radii, tested)
    else:
        if radius is None and tested is not None:
            radii = list(tested)
        else:
            largest = max(float(results(log).radius.max()) for log in (a, b))
            radii = parse_radii(radius, largest=largest)
        comparison = compared(a, b, radii)
    note_unfinished([a, b])
    if json:
        stated = {} if norm == "l2" else {"norm": norm}
        print_json({"first": a.title, "second": b.title, **stated, **asdict(comparison)})
        return
    alone = (
        f"; {comparison.first_alone} only A has and {comparison.second_alone} only B has "
        "are left out"
    )
    some_alone = comparison.first_alone or comparison.second_alone
    print_text(f"A: {a.title}\nB: {b.title}")
    print_text(f"{comparison.images} images in both{alone if some_alone else ''}.\n")
    print_table(
        ("radius", "only A", "only B", "p_value"),
        [_cells(pair, norm) for pair in comparison.pairs],
    )
    if not sys.stdout.isatty():
        print()
    if any(pair.p_value is None for pair in comparison.pairs):
        print_text(NOT_MEASURED)
    if norm == "linf":
        from rszoo.logs.analysis.norms import LEGEND

        print_text(LEGEND)
    if comparison.difference is not None:
        in_l2 = "" if norm == "l2" else " (in l2)"
        print_text(
            f"ACR of A minus ACR of B{in_l2}: {comparison.difference:+.4f}, "
            f"standard error {comparison.standard_error:.4f}."
        )
    print_text("Each p-value (McNemar, exact, two-sided) is for one radius, chosen beforehand.")
    if sys.stdout.isatty():
        print_text(f"A: {_setting(a)}; B: {_setting(b)}.")


def _implied(
    a: Log, b: Log, radii: Sequence[float], tested: Sequence[float] | None
) -> "Comparison":
    """The comparison at l-infinity radii that l2 radii imply.

    Of sequential tests the smallest tested radius counts that implies the one asked for.
    """
    from rszoo.bounds import implying_l2
    from rszoo.logs.analysis import compare as compared
    from rszoo.logs.analysis.comparison import Pair
    from rszoo.logs.analysis.norms import covering, values_of

    needed: list[float | None] = [implying_l2(radius, values_of(a)) for radius in radii]
    if tested is not None:
        needed = covering(tested, [radius or 0.0 for radius in needed])
    comparison = compared(a, b, [radius for radius in needed if radius is not None])
    pairs = iter(comparison.pairs)
    return replace(
        comparison,
        pairs=[
            Pair(radius) if each is None else replace(next(pairs), radius=radius)
            for radius, each in zip(radii, needed, strict=True)
        ],
    )


def _setting(log: Log) -> str:
    protocol = log.protocol
    if isinstance(protocol, PublishedProtocol) and None in (protocol.n, protocol.alpha):
        return "n or alpha not stated"
    most = "at most" if protocol.adaptive else "="
    return f"n {most} {log.setting.n}, alpha = {log.setting.alpha:g}"


def _cells(pair: "Pair", norm: str) -> list[str]:
    radius = radius_text(pair.radius, norm)
    if pair.p_value is None:
        return [radius, "-", "-", "-"]
    return [radius, str(pair.only_first), str(pair.only_second), round_up(pair.p_value, 2)]
