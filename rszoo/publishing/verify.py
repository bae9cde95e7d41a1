"""`verify`: all that an entry says of itself, checked again: files, licence, recipe, logs, some certificates."""

import random
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch
from tqdm import tqdm

from rszoo.bounds import radius_upper
from rszoo.data.datasets import open_images
from rszoo.errors import IntegrityError
from rszoo.evaluation import Evaluation
from rszoo.logs.analysis import audit
from rszoo.logs.format import AnyProtocol, CertifyProtocol, Log, Record, read_log
from rszoo.recipe import Recipe, load_recipe, recipe_names
from rszoo.zoo.config import EntryConfig, check_license, recipe_source
from rszoo.zoo.entry import read_entry
from rszoo.zoo.evidence import read_certificates, twin
from rszoo.zoo.history import read_history
from rszoo.zoo.layout import BESIDE, EVIDENCE
from rszoo.zoo.loading import locate, open_entry

RECIPE = "recipe.toml"
FRESH_SAMPLES = 10_000  # at most, for each certificate that is made again


@dataclass(frozen=True)
class Check:
    """One check of an entry: what was checked, how it ended, and what was found or why it could not be made."""

    name: str
    outcome: Literal["ok", "failed", "skipped"]
    finding: str


def verify(
    name: str, *, images: int = 3, device: str | torch.device = "cpu", batch_size: int | None = None
) -> list[Check]:
    """Every check of an entry that can be made here.

    Args:
        name: as for `rszoo.load`; evidence is downloaded as well.
        images: certificates of each log that are made again, chosen at random.
        device: where they are.
        batch_size: samples a forward pass; no effect on the result, but for rounding on a GPU.

    Raises:
        ValueError, OSError: as `rszoo.load`, except for a damaged entry, which is a failed check.
    """
    if images < 0:
        raise ValueError(
            f"Expected images >= 0, got {images}; pass how many certificates are to be made again."
        )
    try:
        folder = open_entry(name, device=device).folder  # a damaged download is fetched again
        folder, pinned = locate(name, also=(*BESIDE, RECIPE))
    except IntegrityError as error:
        return [Check("files and self-test", "failed", str(error))]
    return verify_folder(folder, pinned=pinned, images=images, device=device, batch_size=batch_size)


def verify_folder(
    folder: Path,
    *,
    pinned: str | None = None,
    images: int = 3,
    device: str | torch.device = "cpu",
    batch_size: int | None = None,
) -> list[Check]:
    """`verify` of an entry's folder, whose config must have the SHA-256 `pinned` unless that is None."""
    try:
        config = read_entry(folder, expected_sha256=pinned)[1]
    except IntegrityError as error:
        return [Check("files and self-test", "failed", str(error))]
    known = "nothing pins config.json" if pinned is None else "config.json is the pinned one"
    checks = [
        Check("files and self-test", "ok", f"{known}; hashes, tensors and logits are as it says"),
        _licence(config),
        _recipe(folder, config),
        _training(folder, config),
    ]
    for name in EVIDENCE:
        checks += _evidence(
            folder, config, name, images=images, device=device, batch_size=batch_size
        )
    name, other = twin(config)
    if (folder / name).exists():
        checks += _evidence(
            folder, other, name, images=images, device=device, batch_size=batch_size
        )
    return checks


def find_recipe(folder: Path, config: EntryConfig) -> Recipe | None:
    """The recipe in an entry's folder, or the one of its name."""
    if (folder / RECIPE).is_file():
        return load_recipe(str(folder / RECIPE))
    return load_recipe(config.name) if config.name in recipe_names() else None


def _licence(config: EntryConfig) -> Check:
    if config.license in ("", "unknown"):
        return Check(
            "licence",
            "failed",
            "the licence of the weights is not known; save or import the entry with it",
        )
    try:
        check_license(config.license)
    except ValueError as error:
        return Check("licence", "failed", str(error))
    return Check("licence", "ok", config.license)


def _recipe(folder: Path, config: EntryConfig) -> Check:
    if config.recipe_fingerprint is None:
        return Check("recipe", "skipped", "the weights were made without a recipe")
    try:
        recipe = find_recipe(folder, config)
    except ValueError as error:
        return Check("recipe", "failed", str(error))
    if recipe is None:
        return Check("recipe", "skipped", f"the recipe {config.name} is not at hand")
    stated = recipe_source(recipe)
    wrong = [
        field.name
        for field in fields(stated)
        if getattr(stated, field.name) != getattr(config, field.name)
    ]
    if wrong:
        return Check("recipe", "failed", f"the recipe and config.json differ in {', '.join(wrong)}")
    return Check("recipe", "ok", f"fingerprint {recipe.fingerprint[:12]}...")


def _training(folder: Path, config: EntryConfig) -> Check:
    try:
        recipe = find_recipe(folder, config)
        if recipe is None and config.recipe_fingerprint is not None:
            return Check("training", "skipped", f"the recipe {config.name} is not at hand")
        history = read_history(
            folder, config, None if config.recipe_fingerprint is None else recipe
        )
    except ValueError as error:
        return Check("training", "failed", str(error))
    if history is None:
        return Check("training", "skipped", "the entry has no logs of it")
    return Check(
        "training",
        "ok",
        f"the logs are of this recipe, from {len(history.starts)} start(s) to its last epoch",
    )


def _evidence(
    folder: Path,
    config: EntryConfig,
    name: str,
    *,
    images: int,
    device: str | torch.device,
    batch_size: int | None,
) -> Iterator[Check]:
    try:
        found = read_certificates(folder / name, config)
    except ValueError as error:
        yield Check(name, "failed", str(error))
        return
    if found is None:
        yield Check(name, "skipped", "the entry has none")
        return
    log, protocol = found
    audited = _audited(log, protocol)
    yield audited
    if images and audited.outcome == "ok":
        yield _certified_again(
            folder, log, protocol, images=images, device=device, batch_size=batch_size
        )


def _audited(log: Log, protocol: CertifyProtocol) -> Check:
    findings = audit(log)
    if errors := [finding.sentence for finding in findings if finding.severity == "error"]:
        return Check(log.path.name, "failed", " ".join(errors))
    notes = "".join(f" {finding.sentence}" for finding in findings)
    return Check(
        log.path.name, "ok", f"the audit of {len(protocol.indices)} images finds no error.{notes}"
    )


def _certified_again(
    folder: Path,
    log: Log,
    protocol: CertifyProtocol,
    *,
    images: int,
    device: str | torch.device,
    batch_size: int | None,
) -> Check:
    """Certificates of the log, made again with its noise, and put to the test with noise of a seed that nobody knew before.

    Votes that differ are no failure by themselves: processors of another kind round otherwise, with the same software too.
    That they are the same proves no radius: a network may have been made for the noise of the log's seed.
    """
    name = f"{log.path.name}, again"
    sample = sorted(
        random.sample(list(log.records), min(images, len(log.records))),
        key=lambda record: record.idx,
    )
    differing: list[str] = []
    software = ""
    try:
        size = len(open_images(protocol.dataset, protocol.split).labels)
    except (ValueError, OSError) as error:
        return Check(name, "skipped", f"the data set cannot be read here: {error}")
    if protocol.stop > size:
        return Check(
            name, "failed", f"it is of {protocol.stop} images, but {protocol.dataset} has {size}"
        )
    for record in tqdm(sample, desc=name, unit="certificate", leave=False, disable=None):
        repeated, made = _again(folder, protocol, record.idx, device=device, batch_size=batch_size)
        software = made.software
        if made.loss != protocol.loss:
            return Check(
                name,
                "failed",
                f"a sample of its noise takes {made.loss:g} off alpha, not {protocol.loss:g}",
            )
        if repeated.label != record.label:
            return Check(
                name, "failed", f"image {record.idx} has label {repeated.label}, not {record.label}"
            )
        if _evident(repeated) != _evident(record):
            differing.append(str(record.idx))
        if record.predict == -1:
            continue  # an abstention claims nothing
        seed = secrets.randbelow(2**63)
        fresh, _ = _again(
            folder, protocol, record.idx, seed=seed, device=device, batch_size=batch_size
        )
        if _refuted(record, fresh, protocol):
            return Check(
                name,
                "failed",
                f"fresh votes (seed {seed}) refute the radius {record.radius} of image {record.idx}",
            )
    votes = "the same votes"
    if differing:
        votes = (
            f"other votes for {', '.join(differing)}, made by {software}, those of the log by {protocol.software} (on one "
            "processor, the same software gives the same votes)"
        )
    return Check(
        name,
        "ok",
        f"images {', '.join(str(record.idx) for record in sample)}: {votes}; votes on fresh noise refute none of their radii "
        f"(each right one would be with probability at most {2 * protocol.alpha:g})",
    )


def _evident(record: Record) -> Sequence[object]:
    return record.label, record.predict, record.radius, record.selected, record.votes, record.path


def _again(
    folder: Path,
    protocol: CertifyProtocol,
    idx: int,
    *,
    device: str | torch.device,
    batch_size: int | None,
    seed: int | None = None,
) -> tuple[Record, AnyProtocol]:
    """The line of an image by the protocol of its log, or by a fixed n from another seed; and the protocol that made it."""
    fixed = seed is not None
    with TemporaryDirectory() as place:
        out = Path(place) / "log.tsv"
        with Evaluation(
            f"local-dir:{folder}",
            out,
            split=protocol.split,
            start=idx,
            stop=idx + 1,
            stride=1,
            n0=protocol.n0,
            n=min(protocol.n, FRESH_SAMPLES) if fixed else protocol.n,
            alpha=protocol.alpha,
            bound=protocol.bound,
            radii=None if fixed else protocol.radii,
            tolerance=None if fixed else protocol.tolerance,
            correct_only=protocol.correct_only and not fixed,
            power=0.0 if fixed else protocol.power,
            precision=protocol.precision,
            seed=protocol.seed if seed is None else seed,
            device=device,
            batch_size=batch_size,
        ) as evaluation:
            for _ in evaluation:
                pass
        return read_log(out).records[0], evaluation.protocol


def _refuted(record: Record, fresh: Record, protocol: CertifyProtocol) -> bool:
    """Whether fresh votes say, at level alpha, that the certificate is wrong; it is wrong by itself with probability alpha."""
    top_alone = protocol.bound == "cohen"
    level = protocol.level(fresh.n)
    largest = radius_upper(
        fresh.counts(protocol.num_classes), record.predict, level, top_alone=top_alone
    )
    return largest == 0 or (record.radius or 0.0) > protocol.sigma * largest
