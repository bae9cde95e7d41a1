"""Lines that no evaluation writes: tables, plots and comparisons refuse a log with one."""

from collections.abc import Iterator

from rszoo.logs.analysis.projection import largest_radius
from rszoo.logs.analysis.recomputation import UNIT
from rszoo.logs.format import (
    AnyProtocol,
    AttackProtocol,
    Log,
    PredictProtocol,
    PublishedProtocol,
    Record,
)


def check_lines(log: Log) -> None:
    """Raise ValueError where a line cannot be in this log, whatever the votes were.

    Only what is known is checked: a published file states no images, and often no n and alpha.
    What the votes allow is for `audit`, which computes every line again.
    """
    faults = [*_of_lines(log), *_of_radii(log)]
    for expected, got in faults[:1]:
        raise ValueError(
            f"Expected {expected} in {log.path}, got {got}; "
            "'rszoo audit' lists such lines: correct or delete them."
        )


def _of_lines(log: Log) -> Iterator[tuple[str, str]]:
    """What is expected of the lines of an own log, and which one differs."""
    if isinstance(log.protocol, PublishedProtocol):
        return
    images = log.protocol.indices
    for record in log.records:
        place = f"for image {record.idx}"
        if record.idx not in images:
            yield "an image of the protocol", f"image {record.idx}"
        for expected, got in _of_line(record, log.protocol):
            yield expected, f"{got} {place}"


def _of_line(record: Record, protocol: AnyProtocol) -> Iterator[tuple[str, object]]:
    last = protocol.num_classes - 1
    if not 0 <= record.label <= last:
        yield f"a true class from 0 to {last}", record.label
    if not -1 <= record.predict <= last:
        yield f"a predicted class from 0 to {last}", record.predict
    if record.correct != (record.predict == record.label):
        yield "correct to say whether label and predict are equal", int(record.correct)
    if isinstance(protocol, PredictProtocol | AttackProtocol):
        numbers = protocol.n if isinstance(protocol, PredictProtocol) else (protocol.n,)
        if record.n not in numbers:
            yield f"n = {', '.join(map(str, numbers))}", record.n
    if isinstance(protocol, AttackProtocol):
        if record.eps not in protocol.distances:
            yield f"eps among {', '.join(f'{eps:g}' for eps in protocol.distances)}", record.eps
        elif not 0 <= (record.l2 or 0.0) < record.eps + UNIT:
            yield f"an l2 distance up to {record.eps:g}", record.l2


def _of_radii(log: Log) -> Iterator[tuple[str, str]]:
    """The largest radius that n votes give, and which line has a larger one."""
    protocol = log.protocol
    known = not isinstance(protocol, PublishedProtocol) or None not in (
        *(protocol.sigma, protocol.n, protocol.alpha),
    )
    if not log.certifies or not known:
        return
    largest = max(0.0, largest_radius(log.setting)) * (1 + 1e-9)
    for record in log.records:
        if record.radius is not None and record.radius - record.rounding > largest:
            yield f"radii up to {largest:.6g}", f"{record.radius:g} for image {record.idx}"
