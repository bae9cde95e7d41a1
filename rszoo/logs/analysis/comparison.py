"""Several logs side by side: whether they can be compared, and two logs image by image."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from rszoo.logs.analysis.projection import Projection
from rszoo.logs.analysis.summary import Results, results
from rszoo.logs.format import (
    AttackProtocol,
    CertifyProtocol,
    Log,
    PublishedProtocol,
    SoftProtocol,
    in_full,
)

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Pair:
    """Two logs at one radius.

    Attributes:
        radius: l2 radius in pixel units.
        only_first, only_second: how many images only the one, or only the other, certifies; None,
            as the p-value, where the radius is above what the votes of one can certify.
        p_value: of McNemar's exact two-sided test of "an image that only one of them certifies is
            as likely the one's as the other's".
    """

    radius: float
    only_first: int | None = None
    only_second: int | None = None
    p_value: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Two logs on the images that both have.

    Attributes:
        images: the number of these images.
        first_alone, second_alone: how many images only one of the logs has; they are left out.
        pairs: one per radius.
        difference: the ACR of the first minus that of the second; None for tests of given radii,
            which have no ACR.
        standard_error: of the difference, from the images' differences; NaN for one image.
    """

    images: int
    first_alone: int
    second_alone: int
    pairs: Sequence[Pair]
    difference: float | None
    standard_error: float | None


def check_comparable(logs: Sequence[Log], *, anyway: bool = False) -> None:
    """Raise ValueError unless the logs differ in the classifier and sigma alone.

    What must agree: task, votes (hard or soft: two classifiers), dataset, split, n0, n, alpha,
    bound, tested radii, tolerance, the images, and their labels. Exceptions:

    - One log may have tested further radii: up to those of the other the test is the same.
    - An attack may stand beside CERTIFY with hard votes, on which it is; only dataset, split,
      images, and the alpha of other attacks must agree.
    - Of a published file only task, images and labels are known: published files can be compared
      with each other if these agree, and with logs of this package only `anyway`.
    - Logs of PREDICT may differ in n.
    """
    if anyway:
        return
    attacks = [log for log in logs if isinstance(log.protocol, AttackProtocol)]
    others = [log for log in logs if not isinstance(log.protocol, AttackProtocol)]
    firsts = [
        max(kind, key=lambda log: len(log.tested_radii or ())) for kind in (others, attacks) if kind
    ]
    for first, log in product(firsts, logs):
        if log is not first and (differences := _differences(first, log)):
            raise ValueError(
                f"Expected logs of one protocol, got {first.path} and {log.path}, "
                f"which differ in {'; '.join(differences)}; "
                "pass --anyway if the difference is meant."
            )


def _differences(one: Log, other: Log) -> list[str]:
    left, right = _facts(one), _facts(other)
    longer, shorter = one.tested_radii, other.tested_radii
    if longer and shorter and longer[: len(shorter)] == shorter:
        del left["radii"]
    differences = [
        f"{key} ({value} and {right[key]})"
        for key, value in left.items()
        if value != right.get(key, value)
    ]
    ours = {record.idx: record.label for record in one.records}
    theirs = {record.idx: record.label for record in other.records}
    common = ours.keys() & theirs.keys()
    if ours.keys() != theirs.keys():
        differences.append(
            f"images ({len(ours)} and {len(theirs)}, of which {len(common)} in both)"
        )
    if changed := sum(ours[idx] != theirs[idx] for idx in common):
        differences.append(f"labels (of {changed} images)")
    return differences


def _facts(log: Log) -> dict[str, object]:
    """What must agree, as far as it is known."""
    protocol = log.protocol
    soft = isinstance(protocol, SoftProtocol)
    votes: dict[str, object] = {"votes": "soft" if soft else "hard"}
    task = votes | {"task": "certify" if log.certifies else "predict"}
    if isinstance(protocol, PublishedProtocol):
        unknown = dict.fromkeys(("dataset", "split", "n0", "n", "alpha", "bound"), UNKNOWN)
        projected = {key: getattr(protocol, key) for key in ("n", "alpha", "bound")}
        return task | unknown | (projected if isinstance(log, Projection) else {})
    source = {"dataset": protocol.dataset, "split": protocol.split}
    if isinstance(protocol, AttackProtocol):
        return votes | source | {"alpha of the attacks' PREDICT": protocol.alpha}
    keys: tuple[str, ...] = ()
    if isinstance(protocol, CertifyProtocol | SoftProtocol):
        keys = ("n0", "n", "bound") if soft else ("n0", "n", "bound", "radii", "tolerance")
    rule = {key: getattr(protocol, key) for key in keys}
    return task | source | {"alpha": protocol.alpha} | rule


def with_marks(logs: Sequence[Log]) -> list[Log]:
    """The logs; those that tables and plots would call the same are marked with their paths."""
    names = [_name(log) for log in logs]
    count = Counter(names)
    return [
        replace(log, mark=str(log.path)) if count[name] > 1 else log
        for log, name in zip(logs, names, strict=True)
    ]


def _name(log: Log) -> tuple[object, ...]:
    """What tables and plots call it: of an attack its options too, but not its distances."""
    if not isinstance(attack := log.protocol, AttackProtocol):
        return (log.title,)
    return log.title, attack.description, attack.num_noise, attack.steps, attack.n


def compare(first: Log, second: Log, radii: Sequence[float]) -> Comparison:
    """Two logs of CERTIFY, image by image.

    Raises:
        ValueError: they have no image in common, or another label for one: they are not of one data
            set; or one of them is a sequential test that did not test one of the radii.
    """
    for log in (first, second):
        tested = log.tested_radii
        if tested and (untested := [radius for radius in radii if radius not in tested]):
            raise ValueError(
                f"Expected radii that {log.path} was tested at, got {in_full(untested[0])}; "
                f"choose from {', '.join(map(in_full, tested))}."
            )
    ours, theirs = results(first), results(second)
    common, left, right = np.intersect1d(ours.idx, theirs.idx, return_indices=True)
    if not common.size:
        raise ValueError(
            f"Expected images that {first.path} and {second.path} share, got none; "
            "compare logs of one data set."
        )
    a, b = ours.where(left), theirs.where(right)
    if np.any(a.label != b.label):
        idx = int(common[np.argmax(a.label != b.label)])
        raise ValueError(
            f"Expected one label for image {idx}, got two; compare logs of one data set."
        )
    gain = a.gain - b.gain
    error = float(gain.std(ddof=1)) / len(a) ** 0.5 if len(a) > 1 else float("nan")
    tests = first.tested_radii or second.tested_radii
    return Comparison(
        images=len(a),
        first_alone=len(ours) - len(a),
        second_alone=len(theirs) - len(b),
        pairs=[_pair(a, b, radius) for radius in radii],
        difference=None if tests else float(gain.mean()),
        standard_error=None if tests else error,
    )


def _pair(a: Results, b: Results, radius: float) -> Pair:
    if not (a.answers(radius) and b.answers(radius)):
        return Pair(radius)
    from statsmodels.stats.contingency_tables import mcnemar  # slow to import

    one, other = a.certified(radius), b.certified(radius)
    only_first, only_second = int((one & ~other).sum()), int((~one & other).sum())
    table = [[int((one & other).sum()), only_first], [only_second, int((~one & ~other).sum())]]
    return Pair(radius, only_first, only_second, float(mcnemar(table, exact=True).pvalue))
