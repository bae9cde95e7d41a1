"""The arguments and options that several verbs share, and how their text is read."""

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option

from rszoo.cli.names import complete_entry, full_name
from rszoo.errors import ascending
from rszoo.logs.format import AttackProtocol, Given, Log, PublishedProtocol, in_full, read_log

if TYPE_CHECKING:
    from rszoo.logs.analysis import Published

LINF = tuple(levels / 255 for levels in (0, 1, 2, 4, 8))
"""The l-infinity radii of a table for which none are asked."""

LOG_HELP = "Logs of 'rszoo evaluate' or 'rszoo attack', or files that Cohen et al. published."

Name = Annotated[
    str,
    Argument(
        metavar="NAME",
        callback=full_name,
        autocompletion=complete_entry,
        help="A name of 'rszoo list', a folder, or hf-hub:org/repo[@revision]. Data set and "
        "architecture may be left out where one entry fits: gaussian-s0.25.",
    ),
]
Images = Annotated[
    list[str],
    Argument(
        metavar="IMAGE|FOLDER|GLOB...",
        help="PNG, JPEG or other files that Pillow reads; the files of a folder, without its "
        "subfolders; or what a pattern such as 'photos/**/*.png' matches.",
    ),
]
Logs = Annotated[list[Path], Argument(metavar="LOG...", help=LOG_HELP)]
OptionalLogs = Annotated[list[Path] | None, Argument(metavar="[LOG...]", help=LOG_HELP)]
Alpha = Annotated[
    float, Option(help="Failure probability per image; choosing it after looking voids it.")
]
Seed = Annotated[
    int, Option(help="Seed of the noise; choosing it after looking voids the guarantee.")
]
Device = Annotated[str, Option(help="Where to compute: cpu, cuda, cuda:1 ...")]
BatchSize = Annotated[
    int | None,
    Option(
        help="Samples per forward pass; changes nothing but rounding on a GPU.",
        show_default="chosen",
    ),
]
Download = Annotated[bool, Option("--download", help="Fetch the data set if it is not there.")]
Json = Annotated[bool, Option("--json", help="Print JSON, with all fields.")]
JsonLines = Annotated[
    bool, Option("--jsonl", help="Print one line of JSON per image, as soon as it is known.")
]
VotesOption = Annotated[
    Literal["hard", "soft"],
    Option(
        "--votes",
        help="soft certifies another classifier: the class with the largest mean softmax.",
    ),
]
Radii = Annotated[
    str | None,
    Option(
        help="Test only this radius, or several as 0.25,0.5, in pixel units; n is then the most "
        "samples. Keeping the better of this and a fixed n voids alpha."
    ),
]
Tolerance = Annotated[
    float | None,
    Option(help="Let the n0 samples choose n, to lose about that much radius, in pixel units."),
]
AtRadii = Annotated[
    str | None,
    Option("--radius", metavar="R,R,...", help="l2 radii in pixel units.", show_default="a grid"),
]
NormOption = Annotated[
    Literal["l2", "linf"],
    Option(
        "--norm",
        help="Of the radii; linf: those that certified l2 radii imply, as 2/255.",
    ),
]
GivenTexts = Annotated[
    list[str] | None,
    Option(
        "--given",
        metavar="[LOG:]n=N,alpha=A,sigma=S",
        help="What published files do not state, for all of them or, after LOG and a colon, for "
        "one; can be repeated. Sigma is else read from a name such as sigma_0.25 or noise_0.25.",
    ),
]


def _checked_rho(rho: float | None) -> float | None:
    if rho is not None and not 0 < rho < 1:
        raise ValueError(
            f"Expected --lower-bound RHO with 0 < RHO < 1, got {rho:g}; "
            "pass a failure probability such as 0.001."
        )
    return rho


LowerBound = Annotated[
    float | None,
    Option(
        callback=_checked_rho,
        metavar="RHO",
        help="Also lower bounds that are too large with probability at most RHO, in one setting "
        "chosen before the votes were drawn. The best of eight alphas was too large in 15 % of the "
        "runs of a simulation, that of one alpha in 1.6 %.",
    ),
]
Anyway = Annotated[
    bool, Option("--anyway", help="Compare logs even if protocols or images differ.")
]
PublishedKeys = Annotated[
    list[str] | None,
    Option(
        "--published",
        metavar="KEY",
        help="Published rows too, by key or pattern such as 'cohen-cifar10-*'.",
    ),
]


def read_logs(
    paths: Sequence[Path] | None, published: Sequence[str] | None, given: Sequence[str] | None
) -> "tuple[list[Log], list[Published]]":
    """The logs and the published rows that are asked for.

    Raises:
        ValueError: there are neither, or one of them cannot be read.
    """
    from rszoo.logs.analysis import find_published

    known = parse_given(given or [], paths or [])
    logs = [open_log(path, known[path]) for path in paths or []]
    named = {Path(text.rpartition(":")[0]) for text in given or [] if ":" in text}
    if stating := [
        log.path
        for log in logs
        if log.path in named and not isinstance(log.protocol, PublishedProtocol)
    ]:
        raise ValueError(
            f"Expected --given for a published file, got {stating[0]}, which states its own n, "
            "alpha and sigma; leave it out."
        )
    rows = find_published(published or [])
    if not logs and not rows:
        raise ValueError(
            "Expected a log or --published KEY, got none; pass a log of 'rszoo evaluate'."
        )
    return logs, rows


def open_log(path: Path, given: Given | None = None) -> Log:
    """`read_log`; for the name of an entry the error names the log that the entry has.

    Raises:
        FileNotFoundError, ValueError: as `read_log`.
    """
    if not path.exists():
        from rszoo.zoo.registry import bundled_folder, list_models

        bundled = bundled_folder(str(path)) / "certify.tsv"
        if str(path) in list_models() and bundled.is_file():
            raise FileNotFoundError(
                f"Expected a log, got {str(path)!r}, which is an entry; logs are files: "
                f"pass {bundled}."
            )
    return read_log(path, given)


def check_certifies(logs: Sequence[Log]) -> None:
    """Raise ValueError unless all are logs of CERTIFY."""
    if not all(log.certifies for log in logs):
        raise ValueError(
            "Expected logs of CERTIFY for --norm linf, got others; "
            "l2 radii alone imply radii in l-infinity."
        )


def note_unfinished(logs: Sequence[Log]) -> None:
    """Say on stderr which logs hold fewer images than their protocols."""
    for log in {log.path: log for log in logs}.values():
        protocol = log.protocol
        if isinstance(protocol, PublishedProtocol):
            continue
        images, wanted = len(log.records) // protocol.lines_per_image, len(protocol.indices)
        if images < wanted:
            verb = "attack" if isinstance(protocol, AttackProtocol) else "evaluate"
            print(
                f"rszoo: {log.path} holds {images} of its {wanted} images; "
                f"go on with the same 'rszoo {verb}'.",
                file=sys.stderr,
            )


def parse_given(texts: Sequence[str], paths: Sequence[Path]) -> dict[Path, Given]:
    """What --given says about each log: what stands after its own path, else what is for all.

    Raises:
        ValueError: a text is malformed, names no log or one twice, or has a value out of range.
    """
    by_path: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, _, values = text.rpartition(":")
        if name in by_path or (name and Path(name) not in paths):
            raise ValueError(
                "Expected --given once for all logs, or once for each after its path and a colon, "
                f"got {text!r}; name one of the logs."
            )
        by_path[name] = _given_values(values)
    for_all = replace(Given(), **by_path.pop("", {}))
    own = {Path(name): values for name, values in by_path.items()}
    return {path: replace(for_all, **own.get(path, {})) for path in paths}


def _given_values(text: str) -> dict[str, Any]:
    """The values of a text such as n=100000,alpha=0.001."""
    cells = [cell.partition("=") for cell in text.split(",") if cell.strip()]
    values = {key.strip(): value.strip() for key, _, value in cells}
    try:
        if not values.keys() <= {"n", "alpha", "sigma"} or len(values) < len(cells):
            raise ValueError(text)
        return {key: int(value) if key == "n" else float(value) for key, value in values.items()}
    except ValueError as error:
        raise ValueError(
            f"Expected --given such as n=100000,alpha=0.001,sigma=0.25, got {text!r}; correct it."
        ) from error


def parse_numbers(text: str, option: str) -> list[float]:
    """The numbers of an option such as 0.25,0.5 or 1/255,2/255.

    Raises:
        ValueError: they are none.
    """
    try:
        return [_number(number) for number in text.split(",")]
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(
            f"Expected {option} to be numbers, got {text!r}; write for instance 0.25,0.5,0.75."
        ) from error


def _number(text: str) -> float:
    over, slash, under = text.partition("/")
    return float(over) / float(under) if slash else float(text)


def parse_radii(text: str | None, *, largest: float) -> list[float]:
    """The values of --radius, sorted.

    Without it: 0, 0.25, 0.5, ... up to `largest`, in steps of 0.5 if that is far.
    """
    if text is None:
        step = 0.25 if largest < 2.4 else 0.5
        return [step * i for i in range(max(1, math.ceil(largest / step)))]
    radii = sorted(set(parse_numbers(text, "--radius")))
    if not ascending(radii):
        raise ValueError(f"Expected radii >= 0, got {text!r}; pass distances in pixel units.")
    return radii


def radius_text(radius: float, norm: str = "l2") -> str:
    """A radius as the head of a column; in l-infinity in levels, as 2/255."""
    return in_full(radius) if norm == "l2" or not radius else f"{255 * radius:g}/255"
