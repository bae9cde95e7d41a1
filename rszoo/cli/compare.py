"""`rszoo compare`: two logs, image by image."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from typer import Argument

from rszoo.cli.logs import Anyway, Radii, parse_radii, read_logs
from rszoo.cli.options import Json
from rszoo.cli.output import print_json, print_table, round_up


def compare(
    first: Annotated[Path, Argument(metavar="A", help="A log of CERTIFY.")],
    second: Annotated[Path, Argument(metavar="B", help="Another, on the same images.")],
    *,
    radius: Radii = None,
    anyway: Anyway = False,
    json: Json = False,
) -> None:
    """Compare two logs on the images that both have: certified by one only, McNemar's exact test, difference of the ACRs."""
    from rszoo.logs.analysis import answers, check_comparable, results, tested_radii
    from rszoo.logs.analysis import compare as compared
    from rszoo.logs.analysis.comparison import told_apart

    a, b = told_apart(read_logs([first, second]))
    check_comparable([a, b], anyway=anyway)
    if radius is None and (tested := tested_radii(a) or tested_radii(b)):
        radii = [each for each in tested if answers(a, each) and answers(b, each)]
    else:
        radii = parse_radii(radius, largest=max(float(results(log).radius.max()) for log in (a, b)))
    found = compared(a, b, radii)
    if json:
        print_json({"first": a.title, "second": b.title, **asdict(found)})
        return
    print(f"A: {a.title}\nB: {b.title}")
    alone = f"; {found.first_alone} only A has and {found.second_alone} only B has are left out"
    print(
        f"{found.images} images in both{alone if found.first_alone or found.second_alone else ''}.\n"
    )
    rows = [
        (f"{pair.radius:g}", str(pair.only_first), str(pair.only_second), round_up(pair.p_value, 2))
        for pair in found.pairs
    ]
    print_table(("radius", "only A", "only B", "p_value"), rows)
    print()
    if found.difference is not None:
        print(
            f"ACR of A minus ACR of B: {found.difference:+.4f}, standard error {found.standard_error:.4f}."
        )
    print("Each p-value (McNemar, exact, two-sided) is for one radius, chosen beforehand.")
