"""Logs of a classifier whose votes have known probabilities, and the published logs."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.random import Generator

from rszoo.bounds import BOUNDS, RadiusTest, hung_fithian, l2_radius, two_stage_n
from rszoo.logs.format import (
    AnyProtocol,
    AttackProtocol,
    CertifyProtocol,
    Given,
    Log,
    PredictProtocol,
    PublishedProtocol,
    Record,
    read_log,
)
from rszoo.logs.format.lines import format_line
from rszoo.logs.format.writer import header

COHEN = Path(__file__).parents[3] / "shared" / "data" / "certify_logs" / "cohen2019"
COMMON: dict[str, Any] = {
    "name": "cifar10-resnet20-gaussian-s0.25",
    "weights_sha256": "0" * 64,
    "dataset": "cifar10",
    "split": "test",
    "start": 0,
    "stop": 400,
    "stride": 10,
    "shard": None,
    "num_classes": 4,
    "trained_sigma": 0.25,
    "sigma": 0.25,
    "noise": "float",
    "precision": "float32",
    "alpha": 0.001,
    "seed": 0,
    "software": "none",
}
GRID_NOISE = {"noise": "grid", "loss": 1e-7}  # 1,000 samples take a tenth of alpha


def certify_protocol(**changes: Any) -> CertifyProtocol:
    return CertifyProtocol(**{**COMMON, "n0": 100, "n": 1000, "bound": "cohen", **changes})


def predict_protocol(**changes: Any) -> PredictProtocol:
    return PredictProtocol(**{**COMMON, "n": (50, 400), **changes})


def attack_log(
    path: Path, certified: Log, *, eps: tuple[float, ...] = (0.1,), **changes: Any
) -> Log:
    """An attack on the images of a log that changed no class."""
    plan = {
        "attack": "pgd",
        "steps": 1,
        "num_noise": 0,
        "random_start": False,
        "restarts": 1,
        "targeted": False,
        "box": True,
    }
    protocol = AttackProtocol(
        **{**COMMON, **plan, "n": 100, "eps": eps, "redraw": False, "attack_batch": 1, **changes}
    )
    lines = [
        Record(
            each.idx,
            each.label,
            each.label,
            True,
            0.1,
            None,
            each.label,
            {each.label: 100},
            None,
            distance,
            0.0,
        )
        for each in certified.records
        for distance in protocol.distances
    ]
    return write(path, protocol, lines)


def draw_votes(protocol: AnyProtocol, seed: int) -> list[tuple[int, list[int]]]:
    """For each image its label and the votes of 10,000 samples, in order of drawing."""
    generator: Generator = np.random.default_rng(seed)
    images = []
    for idx in protocol.indices:
        label = idx // 10 % protocol.num_classes
        share = generator.beta(1.2, 0.8)
        p = (1 - share) * generator.dirichlet(np.ones(protocol.num_classes))
        p[label] += share
        images.append((label, generator.choice(protocol.num_classes, 10_000, p=p).tolist()))
    return images


def count(votes: list[int], num_classes: int) -> list[int]:
    return np.bincount(votes, minlength=num_classes).tolist()


def certify_record(protocol: CertifyProtocol, idx: int, label: int, votes: list[int]) -> Record:
    counts = count(votes[: protocol.n], protocol.num_classes)
    selected = int(np.argmax(count(votes[-protocol.n0 :], protocol.num_classes)))
    radius = l2_radius(
        BOUNDS[protocol.bound](counts, selected, protocol.level(sum(counts))).radius, protocol.sigma
    )
    predict = selected if radius > 0 else -1
    found = {label: votes for label, votes in enumerate(counts) if votes}
    return Record(idx, label, predict, predict == label, 0.1, radius, selected, found)


def certify_records(protocol: CertifyProtocol, seed: int = 0) -> list[Record]:
    drawn = zip(protocol.indices, draw_votes(protocol, seed), strict=True)
    return [certify_record(protocol, idx, label, votes) for idx, (label, votes) in drawn]


def sequential_record(protocol: CertifyProtocol, idx: int, label: int, votes: list[int]) -> Record:
    """The test of the protocol's radii on the votes in the order of drawing."""
    assert protocol.radii is not None
    selected = int(np.argmax(count(votes[-protocol.n0 :], protocol.num_classes)))
    if protocol.correct_only and selected != label:
        return Record(idx, label, -1, False, 0.1, 0.0, selected, {}, ())
    radii = tuple(radius / protocol.sigma for radius in protocol.radii)
    test, drawn = (
        RadiusTest(radii, n=protocol.n, alpha=protocol.level(protocol.n), power=protocol.power),
        0,
    )
    while test.outcome == "continue":
        drawn = test.next_look
        test = test.update(votes[:drawn].count(selected))
    predict, radius = (
        (selected, protocol.radii[test.certified - 1]) if test.certified else (-1, 0.0)
    )
    found = {
        label: votes
        for label, votes in enumerate(count(votes[:drawn], protocol.num_classes))
        if votes
    }
    return Record(idx, label, predict, predict == label, 0.1, radius, selected, found, test.counts)


def tolerant_record(protocol: CertifyProtocol, idx: int, label: int, votes: list[int]) -> Record:
    """As `certify_record`, with the n that the selection samples choose."""
    assert protocol.tolerance is not None
    top, loss = (
        max(count(votes[-protocol.n0 :], protocol.num_classes)),
        protocol.tolerance / protocol.sigma,
    )
    n = two_stage_n(
        top,
        protocol.n0,
        n_max=protocol.n,
        tolerance_in_sigma=loss,
        alpha=protocol.level(protocol.n),
    )
    return certify_record(msgspec.structs.replace(protocol, n=n), idx, label, votes)


def adaptive_records(protocol: CertifyProtocol, seed: int = 0) -> list[Record]:
    make = tolerant_record if protocol.radii is None else sequential_record
    drawn = zip(protocol.indices, draw_votes(protocol, seed), strict=True)
    return [make(protocol, idx, label, votes) for idx, (label, votes) in drawn]


def predict_records(protocol: PredictProtocol, seed: int = 0) -> list[Record]:
    records = []
    for idx, (label, votes) in zip(protocol.indices, draw_votes(protocol, seed), strict=True):
        for n in protocol.n:
            counts = count(votes[:n], protocol.num_classes)
            selected = int(np.argmax(counts))
            runner_up, top = sorted(counts)[-2:]
            predict = selected if hung_fithian(top, runner_up) <= protocol.level(n) else -1
            found = {label: votes for label, votes in enumerate(counts) if votes}
            records.append(
                Record(idx, label, predict, predict == label, 0.1, None, selected, found)
            )
    return records


def write(path: Path, protocol: AnyProtocol, records: list[Record]) -> Log:
    """A file of this package, read again."""
    path.write_bytes(header(protocol) + b"".join(map(format_line, records)))
    return read_log(path)


def published_log(name: str, records: Sequence[Record], **known: Any) -> Log:
    """A published log that is in no file."""
    columns = ("idx", "label", "predict", "radius", "correct", "time")
    return Log(Path(name), PublishedProtocol(title=name, columns=columns, **known), records)


def write_published(path: Path, records: Sequence[Record], given: Given | None = None) -> Log:
    """A file like the published ones: no protocol, no votes, three significant digits."""
    lines = ["idx\tlabel\tpredict\tradius\tcorrect\ttime"]
    for each in records:
        radius, correct = f"{each.radius:.3}", int(each.correct)
        cells = (each.idx, each.label, each.predict, radius, correct, "0:00:01.5")
        lines.append("\t".join(map(str, cells)))
    path.write_text("\n".join(lines) + "\n")
    return read_log(path, given)


def changed(records: list[Record], place: int, **changes: Any) -> list[Record]:
    """The records with one of them changed."""
    return [*records[:place], replace(records[place], **changes), *records[place + 1 :]]


def cohen_log(path: str) -> Path:
    """A published file; where these are not, the test is skipped."""
    if not COHEN.is_dir():
        pytest.skip(f"the logs that Cohen et al. published are not in {COHEN}")
    return COHEN / path


def cifar10_log(sigma: str) -> Path:
    return cohen_log(f"certify/cifar10/resnet110/noise_{sigma}/test/sigma_{sigma}")


def imagenet_log(sigma: str) -> Path:
    return cohen_log(f"certify/imagenet/resnet50/noise_{sigma}/test/sigma_{sigma}")
