"""The sources of a card: the files of an entry, checked against each other."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import msgspec

from rszoo.logs.analysis import Results, audit, project, results
from rszoo.logs.format import CertifyProtocol, Log
from rszoo.recipe import Recipe
from rszoo.zoo.config import (
    CONFIG,
    FIXED_LOG,
    GRID_LOG,
    EntryConfig,
    read_config,
    recipe_source,
    sha256,
)
from rszoo.zoo.evidence import read_certificates, twin
from rszoo.zoo.history import History, read_history
from rszoo.zoo.registry import get_entry, list_models


@dataclass(frozen=True)
class CertifyLog:
    """A log of CERTIFY that passed its audit."""

    log: Log
    protocol: CertifyProtocol

    @cached_property
    def results(self) -> Results:
        """As they were logged."""
        return results(self.log)


class FixedLog(CertifyLog):
    """The log with n votes per image, and what another rule makes of the same votes."""

    @property
    def other_bound(self) -> str:
        """The other rule."""
        return "cohen" if self.protocol.bound == "joint" else "joint"

    @cached_property
    def projected(self) -> Results:
        """By the other rule, at the same alpha."""
        return results(project(self.log, bound=self.other_bound))


class GridLog(CertifyLog):
    """The log of a sequential test of given radii."""

    @property
    def radii(self) -> tuple[float, ...]:
        """The radii that were tested."""
        return self.protocol.radii or ()


@dataclass(frozen=True)
class TwinLog:
    """The first images of the fixed log, voted on in the other precision with the same noise."""

    own: Log
    log: Log
    precision: str

    @cached_property
    def results(self) -> tuple[Results, Results]:
        """In the entry's own precision and in the other, on the same images."""
        return results(self.own), results(self.log)

    @property
    def differing(self) -> float:
        """A lower bound on the share of votes that differ.

        It counts the votes that must move to turn the counts of one log into those of the other.
        """
        moved = sum(
            max(0, count - (other.votes or {}).get(label, 0))
            for own, other in zip(self.own.records, self.log.records, strict=True)
            for label, count in (own.votes or {}).items()
        )
        return moved / sum(record.n for record in self.own.records)


@dataclass(frozen=True)
class Evidence:
    """What is known of an entry.

    Attributes:
        named: whether the registry pins this folder under the entry's name.
        repository: the Hub repository that holds it, if that is known.
        revision: of the repository: the pinned commit, or a branch; None for the main branch.
    """

    config: EntryConfig
    recipe: Recipe | None
    named: bool
    fixed: FixedLog | None
    grid: GridLog | None
    twin: TwinLog | None
    history: History | None
    repository: str | None = None
    revision: str | None = None


def read_evidence(folder: Path, recipe: Recipe | None) -> Evidence:
    """The config and the logs, of evaluation and training, in the folder of an entry.

    Args:
        folder: holds the config, and the logs that exist.
        recipe: the one that made the weights; None for imported weights.

    Raises:
        FileNotFoundError: there is no config.
        ValueError: the recipe is not that of the weights, or a log is of other weights, incomplete
            or faulty.
    """
    config = read_config(folder)
    if not config.license.strip():
        raise ValueError(
            f"Expected a licence in {folder / CONFIG}, got none; "
            "write its SPDX identifier, or 'unknown'."
        )
    _check_recipe(config, recipe)
    known = get_entry(config.name) if config.name in list_models() else None
    pinned = known if known and known.config_sha256 == sha256(folder / CONFIG) else None
    fixed = _read(folder / FIXED_LOG, config, FixedLog)
    return Evidence(
        config,
        recipe,
        pinned is not None,
        fixed,
        _read(folder / GRID_LOG, config, GridLog),
        _read_twin(folder, config, fixed) if fixed else None,
        read_history(folder, config, recipe),
        pinned.repo_id if pinned else None,
        pinned.revision if pinned else None,
    )


def _check_recipe(config: EntryConfig, recipe: Recipe | None) -> None:
    fingerprint = None if recipe is None else recipe.fingerprint
    if config.recipe_fingerprint != fingerprint:
        raise ValueError(
            f"Expected the recipe with fingerprint {config.recipe_fingerprint} for {config.name}, "
            f"got {fingerprint}; pass the recipe that made the weights, or train again what it "
            "makes now."
        )
    for key, value in vars(recipe_source(recipe)).items() if recipe else ():
        if (own := getattr(config, key)) != value:
            raise ValueError(
                f"Expected {key} {value!r} as in the recipe of {config.name}, got {own!r}; "
                "make them agree."
            )


Kind = TypeVar("Kind", bound=CertifyLog)


def _read(path: Path, config: EntryConfig, kind: type[Kind]) -> Kind | None:
    certificates = read_certificates(path, config)
    if certificates is None:
        return None
    findings = audit(certificates[0])
    faults = [finding.sentence for finding in findings if finding.severity == "error"]
    if faults:
        raise ValueError(
            f"Expected a log without faults in {path}, got this one: {faults[0]} "
            "Finish it, or evaluate again."
        )
    return kind(*certificates)


def _read_twin(folder: Path, config: EntryConfig, fixed: FixedLog) -> TwinLog | None:
    name, other_config = twin(config)
    other = _read(folder / name, other_config, CertifyLog)
    if other is None:
        return None
    alike = msgspec.structs.replace(
        other.protocol, precision=config.precision, stop=fixed.protocol.stop
    )
    if alike != fixed.protocol:
        raise ValueError(
            f"Expected {other.log.path} to differ from {fixed.log.path} in precision and --stop "
            "alone, got more; evaluate again."
        )
    own = Log(fixed.log.path, fixed.protocol, fixed.log.records[: len(other.log.records)])
    return TwinLog(own, other.log, other_config.precision)
