"""`rszoo choose`: which entry, and how many samples, for a radius and a time budget."""

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated

from typer import Option

from rszoo.cli.evidence import read_evidence
from rszoo.cli.list import check_words
from rszoo.cli.names import complete_dataset
from rszoo.cli.options import Device, Json
from rszoo.cli.output import print_json, print_table, print_text
from rszoo.cli.timing import duration, seconds_per_sample
from rszoo.logs.format import in_full, round_down
from rszoo.publishing.leaderboard import Filter, Standing, standings
from rszoo.zoo.config import read_config
from rszoo.zoo.registry import bundled_folder, list_models

SAMPLES = (1_000, 10_000, 100_000)
SECONDS = 2.0  # of measuring, for all kinds of networks together
SHOWN = 5
SOURCES = {
    "measured": "measured: the log has this n.",
    "tested": "tested: the log of a sequential test of this radius among others, so that "
    "'--radius' alone usually takes fewer samples; they are the mean of the log.",
    "projected": "projected: from the votes of a log with another n; an estimate, no measurement.",
}


@dataclass(frozen=True)
class Choice:
    """A way to certify.

    Attributes:
        name: the entry.
        rule: "n" for a fixed number of samples, "radius" for a sequential test.
        n: samples after the choice of the class; of a sequential test the most.
        samples: per image in all, on average.
        accuracy: certified accuracy at the radius.
        seconds: per image on this machine, on average.
        source: a key of `SOURCES`, how the accuracy came about.
        log: the file that it comes from.
        images: how many images the log has.
        alpha: failure probability per image.
    """

    name: str
    rule: str
    n: int
    samples: float
    accuracy: float
    seconds: float
    source: str
    log: str
    images: int
    alpha: float


def choose(
    *,
    radius: Annotated[
        float, Option(metavar="R", help="The l2 radius to certify, in pixel units.", min=0.0)
    ] = 0.5,
    seconds: Annotated[
        float | None,
        Option(metavar="S", help="At most this time per image, on average.", show_default="any"),
    ] = None,
    dataset: Annotated[
        str, Option(autocompletion=complete_dataset, help="What the entry classifies.")
    ] = "cifar10",
    max_size: Annotated[
        float | None, Option(metavar="MB", help="Only entries whose weights take at most that.")
    ] = None,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Choose an entry and a number of samples: the largest certified accuracy within a time.

    Accuracies come from bundled logs; times from voting for two seconds on this machine. The best
    of many by their logs is a little optimistic.
    """
    if seconds is not None and not seconds > 0:
        raise ValueError(f"Expected --seconds above 0, got {seconds:g}; pass a time per image.")
    wanted = Filter(dataset=dataset, max_size=max_size)
    check_words(wanted)
    entries = {
        entry.name: entry
        for entry in standings(list_models(), wanted=wanted)
        if entry.size is not None
    }
    choices = [choice for name in entries for choice in _choices(name, radius)]
    if not choices:
        at = in_full(radius)
        raise ValueError(
            f"Expected a bundled entry of {wanted} with certificates for radius {at}, got none; "
            f"'rszoo list --radius {at}' prints what there is."
        )
    speeds = _speeds(entries.values(), device)
    choices = [
        replace(each, seconds=each.samples * speeds[_kind(entries[each.name])]) for each in choices
    ]
    fitting = [each for each in choices if seconds is None or each.seconds <= seconds]
    if not fitting:
        raise ValueError(
            f"Expected --seconds that one of the choices fits in, got {seconds:g}; "
            f"the fastest takes {min(each.seconds for each in choices):.2g} s here."
        )
    best = sorted(fitting, key=lambda each: (-each.accuracy, each.seconds, each.name))[:SHOWN]
    if json:
        print_json([asdict(choice) for choice in best])
    else:
        _print(best, radius, speeds, device)


def _kind(entry: Standing) -> tuple[str, str]:
    """What decides the speed of an entry."""
    return entry.dataset, entry.architecture


def _speeds(entries: Iterable[Standing], device: str) -> dict[tuple[str, str], float]:
    """Seconds per sample of each kind of entry, measured on one of them."""
    from rszoo.zoo.loading import load

    kinds = {_kind(entry): entry.name for entry in entries}
    return {
        kind: seconds_per_sample(load(name, device=device), budget=SECONDS / len(kinds))
        for kind, name in kinds.items()
    }


def _choices(name: str, radius: float) -> Iterator[Choice]:
    """The ways to certify that the logs of an entry tell something about, without their times."""
    from rszoo.logs.analysis import project, results

    folder = bundled_folder(name)
    for each in read_evidence(folder, read_config(folder)):
        protocol, log = each.protocol, each.log
        if protocol.radii is not None:
            share = results(log).measured(radius)
            found = [("radius", protocol.n, each.samples, share, "tested")]
        else:
            found = []
            for n in SAMPLES:
                same = n == protocol.n
                source = "measured" if same else "projected"
                share = results(log if same else project(log, n=n)).measured(radius)
                found.append(("n", n, float(protocol.n0 + n), share, source))
        for rule, n, samples, share, source in found:
            if share:
                yield Choice(
                    name=name,
                    rule=rule,
                    n=n,
                    samples=samples,
                    accuracy=share,
                    seconds=math.inf,
                    source=source,
                    log=log.path.name,
                    images=len(log.records),
                    alpha=protocol.alpha,
                )


def _print(
    choices: Sequence[Choice], radius: float, speeds: dict[tuple[str, str], float], device: str
) -> None:
    print_table(
        ("name", "option", "accuracy", "samples", "seconds", "from"),
        [
            (
                each.name,
                _option(each, radius),
                round_down(each.accuracy, 3),
                f"{each.samples:.0f}",
                f"{each.seconds:.2g}" if each.seconds < 10 else f"{each.seconds:.0f}",
                each.source,
            )
            for each in choices
        ],
    )
    if not sys.stdout.isatty():
        print()
    first = choices[0]
    error = math.sqrt(first.accuracy * (1 - first.accuracy) / first.images)
    print_text(
        f"Certified accuracy at l2 radius {in_full(radius)}, of test images ({first.images} for "
        f"the first), at alpha = {first.alpha:g}. Its standard error is {error:.3f}: rows that "
        "differ by less are alike. Samples and seconds: per image, on "
        "average."
    )
    for source in dict.fromkeys(each.source for each in choices):
        print_text(SOURCES[source])
    for (dataset, architecture), per_sample in speeds.items():
        times = ", ".join(f"{duration(n * per_sample)} at n = {n:,}" for n in SAMPLES)
        print_text(
            f"This machine makes {1 / per_sample:.0f} samples per second with {architecture} on "
            f"{dataset}, measured for {SECONDS / len(speeds):.1g} s: per image {times}."
        )
    where = "" if device == "cpu" else f" --device {device}"
    alike = [each for each in choices if first.accuracy - each.accuracy <= error]
    fastest = min(alike, key=lambda each: each.seconds)
    print_text(
        "The fastest of those that are like the first: "
        f"rszoo certify {fastest.name} IMAGE... {_option(fastest, radius)}{where}"
    )


def _option(choice: Choice, radius: float) -> str:
    if choice.rule == "n":
        return f"--n {choice.n}"
    most = "" if choice.n == SAMPLES[-1] else f" --n {choice.n}"  # the default of 'certify'
    return f"--radius {in_full(radius)}{most}"
