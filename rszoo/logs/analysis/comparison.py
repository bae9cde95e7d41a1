"""Several logs side by side: whether they can be compared, the best at each radius, two logs image by image."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from rszoo.logs.analysis.empirical import described
from rszoo.logs.analysis.setting import Projection, answers, tested_radii
from rszoo.logs.analysis.summary import Results, results
from rszoo.logs.format import AttackProtocol, CertifyProtocol, Log

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Best:
    """The largest certified accuracy at a radius, and the (first) log that has it: its place, from 0, and title."""

    radius: float
    accuracy: float
    place: int
    title: str


@dataclass(frozen=True)
class Pair:
    """Two logs at one radius: images certified in the first only, in the second only, and McNemar's exact p-value.

    The p-value is two-sided, of "an image that only one of them certifies is as likely the one's as the other's".
    """

    radius: float
    only_first: int
    only_second: int
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """Two logs on the images that both have.

    Attributes:
        images: how many these are.
        first_alone, second_alone: how many images only the one, or the other, has; they are left out.
        pairs: one a radius.
        difference: mean of the first log's radius minus the second's, 0 for a wrong class: of the ACRs; None for tests of
            given radii, which have no ACR.
        standard_error: of that mean, from the images' differences; NaN for one image.
    """

    images: int
    first_alone: int
    second_alone: int
    pairs: Sequence[Pair]
    difference: float | None
    standard_error: float | None


def check_comparable(logs: Sequence[Log], *, anyway: bool = False) -> None:
    """Raise ValueError unless the logs answer the same question: all but the classifier and sigma is equal.

    Compared are task, dataset, split, n0, n, alpha, bound, tested radii, tolerance, the images in the logs, and their
    labels. Of tested radii one log may have more, beyond those of another: up to there the test is the same. Of an attack only
    dataset, split, alpha (among attacks) and images are compared: it may stand beside CERTIFY. Of a published file only task,
    images and labels are known: published files can be compared among themselves if these agree, and with logs of this package
    only `anyway`. Logs of PREDICT may differ in n.
    """
    if anyway:
        return
    kinds = [
        [log for log in logs if isinstance(log.protocol, AttackProtocol) == attack]
        for attack in (False, True)
    ]
    firsts = [max(kind, key=lambda log: len(tested_radii(log) or ())) for kind in kinds if kind]
    for first, log in product(firsts, logs):
        if log is not first and (differences := _differences(first, log)):
            raise ValueError(
                f"Expected logs of one protocol, got {first.path} and {log.path}, which differ in {'; '.join(differences)}; "
                "pass --anyway if the difference is meant."
            )


def _differences(one: Log, other: Log) -> list[str]:
    left, right = _facts(one), _facts(other)
    longer, shorter = tested_radii(one), tested_radii(other)
    if longer and shorter and longer[: len(shorter)] == shorter:
        del left["radii"]
    found = [
        f"{key} ({left[key]} and {right[key]})"
        for key in left
        if left[key] != right.get(key, left[key])
    ]
    ours = {record.idx: record.label for record in one.records}
    theirs = {record.idx: record.label for record in other.records}
    common = ours.keys() & theirs.keys()
    if ours.keys() != theirs.keys():
        found.append(f"images ({len(ours)} and {len(theirs)}, of which {len(common)} in both)")
    if changed := sum(ours[idx] != theirs[idx] for idx in common):
        found.append(f"labels (of {changed} images)")
    return found


def _facts(log: Log) -> dict[str, object]:
    protocol = log.protocol
    certify = bool(log.records) and log.records[0].radius is not None
    if protocol is None:
        facts: dict[str, object] = dict.fromkeys(
            ("dataset", "split", "n0", "n", "alpha", "bound"), UNKNOWN
        )
        if isinstance(log, Projection):
            facts |= {"n": log.setting.n, "alpha": log.setting.alpha, "bound": log.setting.bound}
        return {"task": "certify" if certify else "predict"} | facts
    if isinstance(protocol, AttackProtocol):
        return {
            "dataset": protocol.dataset,
            "split": protocol.split,
            "alpha of the attacks' PREDICT": protocol.alpha,
        }
    facts = {
        "task": "predict",
        "dataset": protocol.dataset,
        "split": protocol.split,
        "alpha": protocol.alpha,
    }
    if isinstance(protocol, CertifyProtocol):
        facts |= {"task": "certify", "n0": protocol.n0, "n": protocol.n, "bound": protocol.bound}
        facts |= {"radii": protocol.radii, "tolerance": protocol.tolerance}
    return facts


def told_apart(logs: Sequence[Log]) -> list[Log]:
    """The logs as they are; of those that tables and plots would call the same, each with its path behind its title."""
    names = [_name(log) for log in logs]
    count = Counter(names)
    return [
        replace(log, mark=str(log.path)) if count[name] > 1 else log
        for log, name in zip(logs, names, strict=True)
    ]


def _name(log: Log) -> tuple[object, ...]:
    """All that tables and plots call it: of an attack its options too, but not its distances."""
    if not isinstance(protocol := log.protocol, AttackProtocol):
        return (log.title,)
    return log.title, described(protocol), protocol.num_noise, protocol.steps, protocol.n


def envelope(logs: Sequence[Log], radii: Sequence[float]) -> list[Best | None]:
    """The best of the logs that answer at each radius, None where none does.

    It is chosen by its result, so no classifier attains the whole envelope.
    """
    found = [results(log) for log in logs]
    rows: list[Best | None] = []
    for radius in radii:
        places = [place for place, log in enumerate(logs) if answers(log, radius)]
        best = max(places, key=lambda place: found[place].accuracy(radius), default=None)
        rows.append(
            None
            if best is None
            else Best(radius, found[best].accuracy(radius), best, logs[best].title)
        )
    return rows


def compare(first: Log, second: Log, radii: Sequence[float]) -> Comparison:
    """Two logs of CERTIFY, image by image.

    Raises:
        ValueError: they have no image in common, or another label for one: they are not of one data set; or one of them is of a
            sequential test that was not for one of the radii.
    """
    for log in (first, second):
        if unknown := [radius for radius in radii if not answers(log, radius)]:
            known = ", ".join(f"{radius:g}" for radius in tested_radii(log) or ())
            raise ValueError(
                f"Expected radii that {log.path} was tested at, got {unknown[0]:g}; choose from {known}."
            )
    ours, theirs = results(first), results(second)
    common, left, right = np.intersect1d(ours.idx, theirs.idx, return_indices=True)
    if not common.size:
        raise ValueError(
            f"Expected images that {first.path} and {second.path} share, got none; compare logs of one data set."
        )
    a, b = ours.where(left), theirs.where(right)
    if np.any(a.label != b.label):
        idx = int(common[np.argmax(a.label != b.label)])
        raise ValueError(
            f"Expected one label for image {idx}, got two; compare logs of one data set."
        )
    difference = a.gain - b.gain
    error = float(difference.std(ddof=1)) / common.size**0.5 if common.size > 1 else float("nan")
    pairs = [_pair(a, b, radius) for radius in radii]
    if tested_radii(first) or tested_radii(second):
        return Comparison(len(a), len(ours) - len(a), len(theirs) - len(b), pairs, None, None)
    return Comparison(
        len(a), len(ours) - len(a), len(theirs) - len(b), pairs, float(difference.mean()), error
    )


def _pair(a: Results, b: Results, radius: float) -> Pair:
    from statsmodels.stats.contingency_tables import mcnemar  # slow to import

    one, other = a.certified(radius), b.certified(radius)
    table = [
        [int((one & other).sum()), int((one & ~other).sum())],
        [int((~one & other).sum()), int((~one & ~other).sum())],
    ]
    return Pair(radius, table[0][1], table[1][0], float(mcnemar(table, exact=True).pvalue))
