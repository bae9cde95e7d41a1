"""Logs at the command line: what several verbs read of them and are told of them."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from rszoo.cli.options import parse_numbers
from rszoo.logs.format import Log, read_log

if TYPE_CHECKING:
    from rszoo.logs.analysis import Given

LOG_HELP = "Logs of 'rszoo evaluate' or 'rszoo attack', or files that Cohen et al. published."

Logs = Annotated[list[Path], Argument(metavar="LOG...", help=LOG_HELP)]
OptionalLogs = Annotated[list[Path] | None, Argument(metavar="[LOG...]", help=LOG_HELP)]
Radii = Annotated[
    str | None,
    Option("--radius", metavar="R,R,...", help="l2 radii in pixel units.", show_default="a grid"),
]
GivenText = Annotated[
    str | None,
    Option(
        "--given",
        metavar="n=N,alpha=A[,sigma=S]",
        help="What published files do not state; sigma is else read from the name.",
    ),
]
LowerBound = Annotated[
    float | None,
    Option(
        metavar="RHO", help="Also lower bounds that are too large with probability at most RHO."
    ),
]
Anyway = Annotated[
    bool, Option("--anyway", help="Compare logs of different protocols or images all the same.")
]
PublishedKeys = Annotated[
    list[str] | None,
    Option(
        "--published",
        metavar="KEY",
        help="Published rows too, by key or pattern such as 'cohen-cifar10-*'.",
    ),
]


def read_logs(paths: Sequence[Path]) -> list[Log]:
    """The logs in these files."""
    return [read_log(path) for path in paths]


def note_named_sigma(logs: Sequence[Log], given: "Given") -> None:
    """Say on stderr which sigmas were taken from the names of files."""
    from rszoo.logs.analysis.setting import named_sigma

    if given.sigma is None and any(named_sigma(log) is not None for log in logs):
        print("rszoo: sigma of the published files was read from their names.", file=sys.stderr)


def parse_given(text: str | None) -> "Given":
    """The values of --given."""
    from rszoo.logs.analysis import Given

    cells = [cell.partition("=") for cell in (text or "").split(",") if cell.strip()]
    values = {key.strip(): value.strip() for key, _, value in cells}
    try:
        if not set(values) <= {"n", "alpha", "sigma"} or len(values) < len(cells):
            raise ValueError(text)
        given = Given(
            sigma=float(values["sigma"]) if "sigma" in values else None,
            n=int(values["n"]) if "n" in values else None,
            alpha=float(values["alpha"]) if "alpha" in values else None,
        )
    except ValueError as error:
        raise ValueError(
            f"Expected --given such as n=100000,alpha=0.001,sigma=0.25, got {text!r}; correct it."
        ) from error
    check_given(given)
    return given


def check_given(given: "Given") -> None:
    """Raise ValueError unless what was given is in range."""
    in_range = {
        "sigma": given.sigma is None or 0 < given.sigma < math.inf,
        "n": given.n is None or given.n >= 1,
        "alpha": given.alpha is None or 0 < given.alpha < 1,
    }
    for name, good in in_range.items():
        if not good:
            raise ValueError(
                f"Expected sigma > 0, n >= 1 and 0 < alpha < 1, got {name}={getattr(given, name)}; pass what the paper states."
            )


def parse_radii(text: str | None, *, largest: float) -> list[float]:
    """The values of --radius; or 0, 0.25, 0.5, ... up to `largest`, in steps of 0.5 if that is far."""
    if text is None:
        step = 0.25 if largest < 2.4 else 0.5
        return [step * i for i in range(max(1, math.ceil(largest / step)))]
    radii = parse_numbers(text, "--radius")
    if not all(0 <= radius < math.inf for radius in radii):
        raise ValueError(f"Expected radii >= 0, got {text!r}; pass distances in pixel units.")
    return sorted(set(radii))
