"""A log's results computed again from its votes."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from rszoo.bounds import BOUNDS, RadiusTest, hung_fithian, l2_radius, looks, minimum_n
from rszoo.logs.format import (
    AnyProtocol,
    AttackProtocol,
    CertifyProtocol,
    Log,
    PredictProtocol,
    Record,
)
from rszoo.logs.format.lines import logged_radius

TOLERANCE = (
    1e-3  # relative: by less than this versions of the numerical libraries differ in a radius
)
UNIT = 1e-6  # by less than this l2 is rounded up in a log

Fault = tuple[Literal["error", "note"], str]


def recomputed(log: Log, protocol: AnyProtocol) -> Iterator[Fault]:
    """Where the logged n, class or radius is not what the votes give at the protocol's setting: severity and sentence."""
    faults: dict[Fault, list[int]] = defaultdict(list)
    for number, record in enumerate(log.records):
        for fault in _faults(record, protocol, number):
            faults[fault].append(record.idx)
    if isinstance(protocol, PredictProtocol):
        faults["error", "The votes of a smaller n are not among those of a larger one"] += _torn(
            log.records
        )
    for (severity, text), images in faults.items():
        if images:
            yield severity, f"{text}: {len(images)} images, the first is {images[0]}."


def _torn(records: Sequence[Record]) -> Iterator[int]:
    """Images of PREDICT whose lines cannot be of one stream of votes."""
    for before, after in pairwise(records):
        more = after.votes or {}
        if before.idx == after.idx and any(
            count > more.get(label, 0) for label, count in (before.votes or {}).items()
        ):
            yield after.idx


def _faults(record: Record, protocol: AnyProtocol, number: int) -> Iterator[Fault]:
    if record.selected is None or record.votes is None:
        yield "error", "The votes are missing"
    elif max([*record.votes, record.selected]) >= protocol.num_classes:
        yield "error", f"There are votes for classes above {protocol.num_classes - 1}"
    elif record.label >= protocol.num_classes:
        yield "error", f"The true class is above {protocol.num_classes - 1}"
    elif isinstance(protocol, CertifyProtocol):
        yield from _certify_faults(record, record.selected, protocol)
    elif isinstance(protocol, PredictProtocol):
        yield from _predict_faults(
            record, record.selected, protocol.n[number % len(protocol.n)], protocol
        )
    else:
        yield from _predict_faults(record, record.selected, protocol.n, protocol)
        yield from _distance_faults(record, protocol.distances[number % len(protocol.distances)])


def _certify_faults(record: Record, selected: int, protocol: CertifyProtocol) -> Iterator[Fault]:
    if protocol.correct_only and (not record.n or selected != record.label):
        yield from _skipped_faults(record, selected)
    elif protocol.n < minimum_n(protocol.level(protocol.n)):
        yield (
            "error",
            f"The protocol's n = {protocol.n} is too small to certify at alpha = {protocol.alpha:g}",
        )
    elif protocol.radii is not None:
        yield from _sequential_faults(record, selected, protocol)
    elif record.n > protocol.n or (record.n < protocol.n and protocol.tolerance is None):
        yield "error", f"The number of votes is not n = {protocol.n}"
    elif record.n < minimum_n(protocol.level(record.n)):
        yield "error", f"The number of votes is too small to certify at alpha = {protocol.alpha:g}"
    else:
        yield from _radius_faults(record, selected, protocol)


def _skipped_faults(record: Record, selected: int) -> Iterator[Fault]:
    """Of an image that was not estimated because its true class was not selected."""
    if selected == record.label:
        yield "error", "There are no votes although the true class was selected"
    elif record.n:
        yield "error", "There are votes although the true class was not selected"
    elif record.predict != -1 or record.correct or record.radius:
        yield "error", "There is a class or a radius without votes"


def _radius_faults(record: Record, selected: int, protocol: CertifyProtocol) -> Iterator[Fault]:
    if protocol.bound not in BOUNDS:
        yield (
            "error",
            f"The protocol's bound, {protocol.bound}, is not known, so no radius was computed again",
        )
        return
    counts = tuple(record.counts(protocol.num_classes))
    largest = l2_radius(
        _bound(protocol.bound, counts, selected, protocol.level(record.n)), protocol.sigma
    )
    logged = record.radius or 0.0
    if record.predict not in (selected, -1):
        yield "error", "The class is not the one that was put to the test"
    elif (record.predict != -1 and largest == 0) or logged > largest:
        yield "error", "The radius is larger than the votes allow"
    elif record.predict == -1 and largest > TOLERANCE * protocol.sigma:
        yield "error", "It abstains although the votes allow a radius"
    elif largest - logged > max(TOLERANCE * largest, 1e-6):
        yield "note", "The radius is smaller than the votes allow, by more than 0.1 %"


def _sequential_faults(record: Record, selected: int, protocol: CertifyProtocol) -> Iterator[Fault]:
    """Of a sequential test: its path must be the votes, end where the test does, and certify the logged radius."""
    path, times = record.path or (), looks(protocol.n)
    if not 0 < len(path) <= len(times) or record.n != times[len(path) - 1]:
        yield "error", "The number of votes is not that of the last look in path"
        return
    if path[-1] != (record.votes or {}).get(selected, 0):
        yield "error", "The path does not end in the votes for the class under test"
        return
    radii = tuple(radius / protocol.sigma for radius in protocol.radii or ())
    test = RadiusTest(radii, n=protocol.n, alpha=protocol.level(protocol.n), power=protocol.power)
    outcomes: list[str] = []
    try:
        for count in path:
            outcomes.append(test.outcome)
            test = test.update(count)
    except ValueError:
        yield (
            "error",
            "The path is impossible: votes go down, or up by more than the samples between two looks",
        )
        return
    logged = _place(record, selected, protocol.radii or ())
    if logged is None:
        yield "error", "The class is not the one under test, or the radius not one that was tested"
    elif logged != test.certified:
        yield (
            "error",
            f"The radius is {'larger' if logged > test.certified else 'smaller'} than the path allows",
        )
    elif test.outcome == "continue":
        yield "error", "The test was stopped before it was settled"
    elif set(outcomes) != {"continue"}:
        yield "error", "The test went on after it was settled"


def _place(record: Record, selected: int, radii: Sequence[float]) -> int | None:
    """How many of the radii the line calls certified; None if it says what no test of them can."""
    if record.predict == -1:
        return 0 if not record.radius else None
    written = [logged_radius(radius) for radius in radii]
    return (
        written.index(record.radius) + 1
        if record.predict == selected and record.radius in written
        else None
    )


@lru_cache(maxsize=4096)
def _bound(name: str, counts: Sequence[int], selected: int, alpha: float) -> float:
    return BOUNDS[name](counts, selected, alpha).radius


def _distance_faults(record: Record, eps: float) -> Iterator[Fault]:
    if record.eps != eps:
        yield "error", f"The distance is not eps = {eps:g}, the line's by the protocol"
    elif not 0 <= (record.l2 or 0.0) < eps + UNIT:
        yield "error", f"The adversarial image is farther than eps = {eps:g}"


def _predict_faults(
    record: Record, selected: int, n: int, protocol: PredictProtocol | AttackProtocol
) -> Iterator[Fault]:
    if record.n != n:
        numbers = protocol.n if isinstance(protocol, PredictProtocol) else (n,)
        yield (
            "error",
            f"The number of votes is not the line's among n = {', '.join(map(str, numbers))}",
        )
        return
    votes = record.counts(protocol.num_classes)
    runner_up, top = sorted(votes)[-2:]
    p_value = hung_fithian(top, runner_up)
    level = protocol.level(n)
    if votes[selected] != top or record.predict not in (selected, -1):
        yield "error", "The class is not the one with the most votes"
    elif record.predict != -1 and p_value > level:
        yield "error", "A class is returned although the vote is too close"
    elif record.predict == -1 and p_value <= level:
        yield "error", "It abstains although the vote is clear"
