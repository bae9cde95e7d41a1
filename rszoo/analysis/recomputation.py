"""A log's results computed again from its votes."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Literal

from rszoo.bounds import BOUNDS, RadiusTest, hung_fithian, l2_radius, looks, minimum_n
from rszoo.records import AnyProtocol, CertifyProtocol, Log, PredictProtocol, Record

TOLERANCE = 1e-3  # relative: the error of grid noise, which a log does not state, lowers a radius by less than this
GRID_SHARE = 0.05  # of alpha: that error takes less than this from the level of a test

Fault = tuple[Literal["error", "note"], str]


def recomputed(log: Log, protocol: AnyProtocol) -> Iterator[Fault]:
    """Where the logged n, class or radius is not what the votes give at the protocol's setting: severity and sentence."""
    faults: dict[Fault, list[int]] = defaultdict(list)
    for number, record in enumerate(log.records):
        for fault in _faults(record, protocol, number):
            faults[fault].append(record.idx)
    for (severity, text), images in faults.items():
        yield severity, f"{text}: {len(images)} images, the first is {images[0]}."


def _faults(record: Record, protocol: AnyProtocol, number: int) -> Iterator[Fault]:
    if record.selected is None or record.votes is None:
        yield "error", "The votes are missing"
    elif max([*record.votes, record.selected]) >= protocol.num_classes:
        yield "error", f"There are votes for classes above {protocol.num_classes - 1}"
    elif isinstance(protocol, CertifyProtocol) and protocol.correct_only and not record.n:
        if record.selected == record.label or record.predict != -1:
            yield "error", "The votes are missing, although the true class was selected or a class is returned"
    elif isinstance(protocol, CertifyProtocol) and protocol.radii is not None:
        yield from _sequential_faults(record, record.selected, protocol, protocol.radii)
    elif isinstance(protocol, CertifyProtocol):
        yield from _certify_faults(record, record.selected, protocol)
    else:
        yield from _predict_faults(record, record.selected, number, protocol)


def _certify_faults(record: Record, selected: int, protocol: CertifyProtocol) -> Iterator[Fault]:
    if record.n != protocol.n and protocol.tolerance is None:
        yield "error", f"The number of votes is not n = {protocol.n}"
        return
    if not minimum_n(protocol.alpha) <= record.n <= protocol.n:
        yield "error", f"The number of votes is none that the selection samples choose, at most n = {protocol.n}"
        return
    if protocol.bound not in BOUNDS:
        yield "error", f"The protocol's bound, {protocol.bound}, is not known, so no radius was computed again"
        return
    largest = l2_radius(
        _bound(protocol.bound, tuple(record.counts(protocol.num_classes)), selected, protocol.alpha), protocol.sigma
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


def _sequential_faults(record: Record, selected: int, protocol: CertifyProtocol, radii: Sequence[float]) -> Iterator[Fault]:
    """The test of given radii, done again with the votes at its looks."""
    path = record.path or ()
    in_sigma = tuple(radius / protocol.sigma for radius in radii)
    try:
        test = RadiusTest(in_sigma, n=protocol.n, alpha=protocol.alpha, counts=path)
    except ValueError:
        yield "error", "The votes at the looks, or the radii, are impossible"
        return
    if not path or (looks(protocol.n)[len(path) - 1], path[-1]) != (record.n, (record.votes or {}).get(selected, 0)):
        yield "error", "The votes are not those of the last look"
        return
    largest = radii[test.certified - 1] if test.certified else 0.0
    if record.predict not in (selected, -1):
        yield "error", "The class is not the one that was put to the test"
    elif (record.predict != -1 and not test.certified) or (record.radius or 0.0) > largest:
        yield "error", "The radius is larger than the votes allow"
    elif protocol.noise == "float" and record.predict == -1 and test.certified:
        yield "error", "It abstains although the votes allow a radius"
    elif protocol.noise == "float" and test.outcome == "continue":
        yield "note", "The test of the radii ended before it was settled"


@lru_cache(maxsize=4096)
def _bound(name: str, counts: Sequence[int], selected: int, alpha: float) -> float:
    return BOUNDS[name](counts, selected, alpha).radius


def _predict_faults(record: Record, selected: int, number: int, protocol: PredictProtocol) -> Iterator[Fault]:
    if record.n != protocol.n[number % len(protocol.n)]:
        yield "error", f"The number of votes is not the line's among n = {', '.join(map(str, protocol.n))}"
        return
    votes = record.counts(protocol.num_classes)
    runner_up, top = sorted(votes)[-2:]
    p_value = hung_fithian(top, runner_up)
    level = protocol.alpha * (1 - GRID_SHARE if protocol.noise == "grid" else 1)
    if votes[selected] != top or record.predict not in (selected, -1):
        yield "error", "The class is not the one with the most votes"
    elif record.predict != -1 and p_value > protocol.alpha:
        yield "error", "A class is returned although the vote is too close"
    elif record.predict == -1 and p_value <= level:
        yield "error", "It abstains although the vote is clear"
