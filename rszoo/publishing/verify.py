"""Re-check every claim an entry makes: files, licence, recipe, training, logs, certificates."""

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

import msgspec
import torch
from tqdm import tqdm

from rszoo.bounds import radius_upper
from rszoo.data.datasets import open_images
from rszoo.errors import IntegrityError
from rszoo.evaluation import VotingEvaluator, check_same_data, software
from rszoo.logs.analysis import audit
from rszoo.logs.format import CertifyProtocol, Log, Record, logged_radius
from rszoo.recipe import Recipe, load_recipe, recipe_names
from rszoo.smoothing.certificate import ABSTAIN
from rszoo.smoothing.classifier import SmoothedClassifier
from rszoo.zoo.config import (
    BESIDE,
    CONFIG,
    EVIDENCE,
    RECIPE,
    EntryConfig,
    check_license,
    recipe_source,
)
from rszoo.zoo.entry import read_entry
from rszoo.zoo.evidence import read_certificates, twin
from rszoo.zoo.history import read_history
from rszoo.zoo.loading import locate, open_entry
from rszoo.zoo.registry import FOLDER_PREFIX

FRESH_SAMPLES = 10_000  # the most on fresh noise, per certificate
INTEGRITY = "files and self-test"


@dataclass(frozen=True)
class Check:
    """A check of an entry: its name, its outcome, and what it found or why it cannot be made."""

    name: str
    outcome: Literal["ok", "failed", "skipped"]
    finding: str


class Skipped(Exception):
    """A check cannot be made here; the text says why."""


@dataclass(frozen=True)
class Repetition:
    """How certificates are made again.

    Attributes:
        images: certificates per log, chosen at random.
        device: where.
        batch_size: samples per forward pass; no effect on the result, except for rounding on a GPU.
    """

    images: int = 3
    device: str | torch.device = "cpu"
    batch_size: int | None = None


USUAL = Repetition()


def verify(name: str, repetition: Repetition = USUAL) -> list[Check]:
    """Every check of an entry that can be made here.

    Args:
        name: as for `rszoo.load`; the evidence is downloaded as well.
        repetition: how certificates are made again.

    Raises:
        ValueError, OSError: as `rszoo.load`, except for a damaged entry, which is a failed check.
    """
    if repetition.images < 0:
        raise ValueError(
            f"Expected images >= 0, got {repetition.images}; "
            "pass how many certificates to make again."
        )
    try:
        open_entry(name, device=repetition.device)  # fetches a damaged download again
        folder, pinned = locate(name, also=(*BESIDE, RECIPE))
    except IntegrityError as error:
        return [Check(INTEGRITY, "failed", str(error))]
    return verify_folder(folder, repetition, pinned=pinned)


def verify_folder(folder: Path, repetition: Repetition, *, pinned: str | None) -> list[Check]:
    """`verify` of an entry's folder, whose config must have the SHA-256 `pinned` unless None."""
    try:
        config = read_entry(folder, expected_sha256=pinned)[1]
    except IntegrityError as error:
        return [Check(INTEGRITY, "failed", str(error))]
    known = f"nothing pins {CONFIG}" if pinned is None else f"{CONFIG} is the pinned one"
    checks = [
        Check(INTEGRITY, "ok", f"{known}; hashes, tensors and logits are as it says"),
        _checked("licence", lambda: _licence(config)),
        _checked("recipe", lambda: _recipe(folder, config)),
        _checked("training", lambda: _training(folder, config)),
    ]
    for name in EVIDENCE:
        checks += _evidence(folder / name, config, repetition)
    name, other = twin(config)
    if (folder / name).exists():
        checks += _evidence(folder / name, other, repetition)
    return checks


def _checked(name: str, find: Callable[[], str]) -> Check:
    """The check whose finding a function returns, or raises."""
    try:
        return Check(name, "ok", find())
    except Skipped as reason:
        return Check(name, "skipped", str(reason))
    except ValueError as error:
        return Check(name, "failed", str(error))


def _licence(config: EntryConfig) -> str:
    if config.license in ("", "unknown"):
        raise ValueError(
            "the licence of the weights is not known; save or import the entry with it"
        )
    check_license(config.license)
    return config.license


def _recipe(folder: Path, config: EntryConfig) -> str:
    recipe = _recipe_of(folder, config)
    if recipe is None:
        raise Skipped("the weights were made without a recipe")
    stated = recipe_source(recipe)
    names = [field.name for field in fields(stated)]
    wrong = [name for name in names if getattr(stated, name) != getattr(config, name)]
    if wrong:
        raise ValueError(f"the recipe and {CONFIG} differ in {', '.join(wrong)}")
    return f"fingerprint {recipe.fingerprint[:12]}..."


def _training(folder: Path, config: EntryConfig) -> str:
    history = read_history(folder, config, _recipe_of(folder, config))
    if history is None:
        raise Skipped("the entry has no logs of it")
    starts = len(history.starts)
    return f"the logs are of this recipe, from {starts} start(s) to its last epoch"


def _recipe_of(folder: Path, config: EntryConfig) -> Recipe | None:
    """The recipe in an entry's folder, or the one of its name; None for weights without one."""
    if config.recipe_fingerprint is None:
        return None
    if (folder / RECIPE).is_file():
        return load_recipe(str(folder / RECIPE))
    if config.name not in recipe_names():
        raise Skipped(f"the recipe {config.name} is not at hand")
    return load_recipe(config.name)


def _evidence(path: Path, config: EntryConfig, repetition: Repetition) -> list[Check]:
    """The audit of a log and, where it finds no error, some of its certificates made again."""
    try:
        certificates = read_certificates(path, config)
    except ValueError as error:
        return [Check(path.name, "failed", str(error))]
    if certificates is None:
        return [Check(path.name, "skipped", "the entry has none")]
    log, protocol = certificates
    audited = _checked(path.name, lambda: _audit(log, protocol))
    if audited.outcome == "failed" or not repetition.images:
        return [audited]
    entry = open_entry(
        f"{FOLDER_PREFIX}{path.parent}", device=repetition.device, precision=protocol.precision
    )
    name = f"{path.name}, again"
    return [audited, _checked(name, lambda: _again(log, protocol, entry.classifier, repetition))]


def _audit(log: Log, protocol: CertifyProtocol) -> str:
    findings = audit(log)
    if errors := [finding.sentence for finding in findings if finding.severity == "error"]:
        raise ValueError(" ".join(errors))
    notes = "".join(f" {finding.sentence}" for finding in findings)
    return f"the audit of {len(protocol.indices)} images finds no error.{notes}"


def _again(
    log: Log, protocol: CertifyProtocol, classifier: SmoothedClassifier, repetition: Repetition
) -> str:
    """Make certificates of a log again, and test them on fresh noise, of a seed unknown before.

    Other votes are no failure by themselves: processors of another kind round differently, even
    with the same software. Equal votes prove no radius: a network may have been made for the noise
    of the log's seed.
    """
    try:
        images = open_images(protocol.dataset, protocol.split)
    except (ValueError, OSError) as error:
        raise Skipped(f"the data set cannot be read here: {error}") from error
    check_same_data(protocol, images)
    stop, size = protocol.stop, len(images.labels)
    if stop > size:
        raise ValueError(f"it is of {stop} images, but {protocol.dataset} has {size}")
    if classifier.loss != protocol.loss:
        raise ValueError(
            f"a sample of its noise takes {classifier.loss:g} off alpha, not {protocol.loss:g}"
        )

    def certified(protocol: CertifyProtocol, idx: int) -> Record:
        size = repetition.batch_size
        evaluator = VotingEvaluator(protocol, classifier, images, batch_size=size)
        ((record,),) = evaluator.records([idx])
        return record

    records = random.sample(list(log.records), min(repetition.images, len(log.records)))
    records.sort(key=lambda record: record.idx)
    differing = []
    for record in tqdm(records, log.path.name, unit="certificate", leave=False, disable=None):
        repeated = certified(protocol, record.idx)
        if repeated.label != record.label:
            raise ValueError(f"image {record.idx} has label {repeated.label}, not {record.label}")
        if _logged(repeated) != _logged(record):
            differing.append(str(record.idx))
        seed = secrets.randbelow(2**63)
        if _refuted(record, certified(_fresh(protocol, seed), record.idx), protocol):
            raise ValueError(
                f"fresh votes (seed {seed}) refute the radius {record.radius} of image {record.idx}"
            )
    votes = "the same votes"
    if differing:
        votes = (
            f"other votes for {', '.join(differing)}, made by {software(classifier)}, those of the "
            f"log by {protocol.software} (on one processor, the same software gives the same votes)"
        )
    return (
        f"images {', '.join(str(record.idx) for record in records)}: {votes}; votes on fresh noise "
        "refute none of their radii (each right one would be with probability at most "
        f"{2 * protocol.alpha:g})"
    )


def _logged(record: Record) -> Record:
    """A record as read from a log, but for its time."""
    return replace(record, seconds=0.0, radius=logged_radius(record.radius or 0.0))


def _fresh(protocol: CertifyProtocol, seed: int) -> CertifyProtocol:
    """A fixed n, of up to FRESH_SAMPLES, from another seed."""
    return msgspec.structs.replace(
        protocol,
        seed=seed,
        n=min(protocol.n, FRESH_SAMPLES),
        radii=None,
        tolerance=None,
        correct_only=False,
        power=0.0,
    )


def _refuted(record: Record, fresh: Record, protocol: CertifyProtocol) -> bool:
    """Whether fresh votes say, at level alpha, that a certificate is wrong.

    The certificate itself is wrong with probability alpha. An abstention claims nothing.
    """
    if record.predict == ABSTAIN:
        return False
    counts = fresh.counts(protocol.num_classes)
    level, top_alone = protocol.level(fresh.n), protocol.bound == "cohen"
    largest = radius_upper(counts, record.predict, level, top_alone=top_alone)
    return largest == 0 or (record.radius or 0.0) > protocol.sigma * largest
