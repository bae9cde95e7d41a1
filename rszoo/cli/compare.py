"""`rszoo compare`: two logs, image by image."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument

from rszoo.cli.options import Anyway, AtRadii, Json, note_unfinished, open_log, parse_radii
from rszoo.cli.output import print_json, print_table, round_up
from rszoo.logs.format import in_full
from rszoo.logs.tables import NOT_MEASURED

if TYPE_CHECKING:
    from rszoo.logs.analysis.comparison import Pair


def compare(
    first: Annotated[Path, Argument(metavar="A", help="A log of CERTIFY.")],
    second: Annotated[Path, Argument(metavar="B", help="Another, on the same images.")],
    *,
    radius: AtRadii = None,
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
    if radius is None and (tested := a.tested_radii or b.tested_radii):
        radii = [each for each in tested if all(results(log).answers(each) for log in (a, b))]
    else:
        radii = parse_radii(radius, largest=max(float(results(log).radius.max()) for log in (a, b)))
    comparison = compared(a, b, radii)
    note_unfinished([a, b])
    if json:
        print_json({"first": a.title, "second": b.title, **asdict(comparison)})
        return
    alone = (
        f"; {comparison.first_alone} only A has and {comparison.second_alone} only B has "
        "are left out"
    )
    some_alone = comparison.first_alone or comparison.second_alone
    print(f"A: {a.title}\nB: {b.title}")
    print(f"{comparison.images} images in both{alone if some_alone else ''}.\n")
    print_table(
        ("radius", "only A", "only B", "p_value"),
        [_cells(pair) for pair in comparison.pairs],
    )
    print()
    if any(pair.p_value is None for pair in comparison.pairs):
        print(NOT_MEASURED)
    if comparison.difference is not None:
        print(
            f"ACR of A minus ACR of B: {comparison.difference:+.4f}, "
            f"standard error {comparison.standard_error:.4f}."
        )
    print("Each p-value (McNemar, exact, two-sided) is for one radius, chosen beforehand.")


def _cells(pair: "Pair") -> list[str]:
    if pair.p_value is None:
        return [in_full(pair.radius), "-", "-", "-"]
    counts = (str(pair.only_first), str(pair.only_second))
    return [in_full(pair.radius), *counts, round_up(pair.p_value, 2)]
