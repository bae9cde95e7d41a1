"""The results of a log, computed again from its votes, or from its mean scores and their bounds."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from rszoo.bounds import (
    BOUNDS,
    SOFT_BOUNDS,
    RadiusTest,
    hoeffding_lower,
    hoeffding_upper,
    hung_fithian,
    l2_radius,
    looks,
    minimum_n,
    soft_radius,
)
from rszoo.bounds.scores import STEPS, certifies
from rszoo.logs.format import (
    AnyProtocol,
    AttackProtocol,
    CertifyProtocol,
    Log,
    PredictProtocol,
    Record,
    SoftProtocol,
    logged_radius,
)

TOLERANCE = 1e-3  # relative; versions of the numerical libraries differ by less in a radius
UNIT = 1e-6  # a log rounds l2 up, and radii down, by less
EXACT = 1e-12  # of numbers that a log holds in full

SMALLER = "The radius is smaller than the votes allow, by more than 0.1 %"
TORN = "The votes of a smaller n are not among those of a larger one"


def recomputed(log: Log, protocol: AnyProtocol) -> Iterator[tuple[Literal["error", "note"], str]]:
    """Where the logged n, class or radius is not what the votes give: severity and sentence."""
    faults: dict[str, list[int]] = defaultdict(list)
    for number, record in enumerate(log.records):
        for fault in filter(None, _faults(record, protocol, number)):
            faults[fault].append(record.idx)
    if isinstance(protocol, PredictProtocol):
        faults[TORN] += _torn(log.records)
    for fault, images in faults.items():
        if images:
            severity: Literal["error", "note"] = "note" if fault == SMALLER else "error"
            yield severity, f"{fault}: {len(images)} images, the first is {images[0]}."


def _torn(records: Sequence[Record]) -> Iterator[int]:
    """Images of PREDICT whose lines cannot be of one stream of votes."""
    for before, after in pairwise(records):
        fewer = (after.votes.get(label, 0) < count for label, count in before.votes.items())
        if before.idx == after.idx and any(fewer):
            yield after.idx


def _first(faults: Mapping[str, bool]) -> str | None:
    """The first fault that is there."""
    return next((fault for fault, present in faults.items() if present), None)


def _faults(record: Record, protocol: AnyProtocol, number: int) -> Sequence[str | None]:
    """What is wrong with the line of that number, None for nothing."""
    if foreign := _foreign_fault(record, protocol.num_classes - 1):
        return [foreign]
    line = number % protocol.lines_per_image
    if isinstance(protocol, CertifyProtocol):
        return [_certify_fault(record, protocol)]
    if isinstance(protocol, SoftProtocol):
        return [_soft_fault(record, protocol)]
    if isinstance(protocol, PredictProtocol):
        return [_predict_fault(record, protocol.n[line], protocol)]
    eps = protocol.distances[line]
    return [_predict_fault(record, protocol.n, protocol), _distance_fault(record, eps)]


def _foreign_fault(record: Record, last: int) -> str | None:
    """Of a line with classes above the last."""
    voted = max([*record.votes, record.selected])
    return _first(
        {
            f"There are votes for classes above {last}": voted > last,
            f"The true class is above {last}": record.label > last,
        }
    )


def _certify_fault(record: Record, protocol: CertifyProtocol) -> str | None:
    n, alpha, votes = protocol.n, protocol.alpha, record.n
    if protocol.correct_only and (not votes or record.selected != record.label):
        return _skipped_fault(record)
    if n < minimum_n(protocol.level(n)):
        return f"The protocol's n = {n} is too small to certify at alpha = {alpha:g}"
    if protocol.radii is not None:
        return _sequential_fault(record, protocol.radii, protocol)
    if votes > n or (votes < n and protocol.tolerance is None):
        return f"The number of votes is not n = {n}"
    if votes < minimum_n(protocol.level(votes)):
        return f"The number of votes is too small to certify at alpha = {alpha:g}"
    return _radius_fault(record, protocol)


def _skipped_fault(record: Record) -> str | None:
    """Of an image that was skipped because its true class was not selected."""
    certified = record.predict != -1 or record.correct or bool(record.radius)
    right = record.selected == record.label
    return _first(
        {
            "There are no votes although the true class was selected": right,
            "There are votes although the true class was not selected": record.n > 0,
            "There is a class or a radius without votes": certified,
        }
    )


def _radius_fault(record: Record, protocol: CertifyProtocol) -> str | None:
    if (bound := protocol.bound) not in BOUNDS:
        return f"The protocol's bound, {bound}, is not known, so no radius was computed again"
    selected, logged, abstained = record.selected, record.radius or 0.0, record.predict == -1
    counts, level = tuple(record.counts(protocol.num_classes)), protocol.level(record.n)
    largest = l2_radius(_bound(bound, counts, selected, level), protocol.sigma)
    return _first(
        {
            "The class is not the one that was put to the test": not abstained
            and record.predict != selected,
            "The radius is larger than the votes allow": logged > largest
            or (largest == 0 and not abstained),
            "It abstains although the votes allow a radius": abstained
            and largest > TOLERANCE * protocol.sigma,
            SMALLER: largest - logged > max(TOLERANCE * largest, 1e-6),
        }
    )


def _soft_fault(record: Record, protocol: SoftProtocol) -> str | None:
    """Of soft votes: the radius must be that of the bounds, and these must fit the mean.

    Hoeffding's lower bound follows from the mean; the other two from more than the log holds. The
    largest other mean is at least an equal share of what the class leaves, rounding of scores
    aside.
    """
    means, n, alpha = record.means, protocol.n, protocol.alpha
    if means is None or means.n != n:
        return f"The number of scores is not n = {n}"
    if protocol.bound not in SOFT_BOUNDS:
        return f"The protocol's bound, {protocol.bound}, is not known, so nothing was recomputed"
    if not certifies(n, protocol.bound, protocol.level(n)):
        return f"The protocol's n = {n} is too small to certify at alpha = {alpha:g}"
    others = protocol.num_classes - 1
    share = max(0.0, (1 - means.mean) / others - 2 * protocol.num_classes / STEPS)
    half, least, most = protocol.level(n) / 2, share, means.mean
    if protocol.bound == "hoeffding":
        least, most = hoeffding_upper(share, n, half), hoeffding_lower(means.mean, n, half)
    logged = record.radius or 0.0
    largest = l2_radius(soft_radius(means.lower, means.upper), protocol.sigma)
    return _first(
        {
            "The lower bound is larger than the mean score allows": means.lower > most + EXACT,
            "The upper bound is smaller than the mean score allows": means.upper
            < min(1 - means.lower, least) - EXACT,
            "The radius is larger than the bounds allow": logged > largest,
            "The radius is smaller than the bounds allow": largest - logged
            > max(TOLERANCE * largest, UNIT),
            "The class is not the one that was put to the test": record.predict
            not in (record.selected, -1),
            "It abstains although the bounds allow a radius, or the reverse": (record.predict == -1)
            != (largest == 0),
        }
    )


@lru_cache(maxsize=4096)
def _bound(name: str, counts: Sequence[int], selected: int, alpha: float) -> float:
    return BOUNDS[name](counts, selected, alpha).radius


def _sequential_fault(
    record: Record, radii: Sequence[float], protocol: CertifyProtocol
) -> str | None:
    """Of a sequential test: its path must end in the votes and where the test does."""
    path, times = record.path or (), looks(protocol.n)
    if not 0 < len(path) <= len(times) or record.n != times[len(path) - 1]:
        return "The number of votes is not that of the last look in path"
    if path[-1] != record.votes.get(record.selected, 0):
        return "The path does not end in the votes for the class under test"
    in_sigma = tuple(radius / protocol.sigma for radius in radii)
    level = protocol.level(protocol.n)
    test = RadiusTest(in_sigma, n=protocol.n, alpha=level, power=protocol.power)
    outcomes = []
    try:
        for count in path:
            outcomes.append(test.outcome)
            test = test.update(count)
    except ValueError:
        return (
            "The path is impossible: votes go down, "
            "or up by more than the samples between two looks"
        )
    logged = _place(record, radii)
    if logged is None:
        return "The class is not the one under test, or the radius not one that was tested"
    return _first(
        {
            "The radius is larger than the path allows": logged > test.certified,
            "The radius is smaller than the path allows": logged < test.certified,
            "The test was stopped before it was settled": test.outcome == "continue",
            "The test went on after it was settled": set(outcomes) != {"continue"},
        }
    )


def _place(record: Record, radii: Sequence[float]) -> int | None:
    """How many of the radii the line certifies; None if it says what no test of them can."""
    if record.predict == -1:
        return None if record.radius else 0
    written = [logged_radius(radius) for radius in radii]
    tested = record.predict == record.selected and record.radius in written
    return written.index(record.radius or 0.0) + 1 if tested else None


def _predict_fault(
    record: Record, n: int, protocol: PredictProtocol | AttackProtocol
) -> str | None:
    if record.n != n:
        numbers = protocol.n if isinstance(protocol, PredictProtocol) else (n,)
        return f"The number of votes is not the line's among n = {', '.join(map(str, numbers))}"
    votes = record.counts(protocol.num_classes)
    runner_up, top = sorted(votes)[-2:]
    clear, abstained = hung_fithian(top, runner_up) <= protocol.level(n), record.predict == -1
    wrong = votes[record.selected] != top or record.predict not in (record.selected, -1)
    return _first(
        {
            "The class is not the one with the most votes": wrong,
            "A class is returned although the vote is too close": not (abstained or clear),
            "It abstains although the vote is clear": abstained and clear,
        }
    )


def _distance_fault(record: Record, eps: float) -> str | None:
    near = 0 <= (record.l2 or 0.0) < eps + UNIT
    return _first(
        {
            f"The distance is not eps = {eps:g}, the line's by the protocol": record.eps != eps,
            f"The adversarial image is farther than eps = {eps:g}": not near,
        }
    )
