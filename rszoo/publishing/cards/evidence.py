"""What a card is made of: the files of an entry's folder, held to each other before a word is written."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from rszoo.logs.analysis import Projection, Results, audit, project, results
from rszoo.logs.format import CertifyProtocol, Log
from rszoo.recipe import Recipe
from rszoo.zoo.config import EntryConfig, read_config, sha256
from rszoo.zoo.evidence import read_certificates, twin
from rszoo.zoo.history import History, read_history
from rszoo.zoo.layout import EVIDENCE
from rszoo.zoo.registry import get_entry, list_models

LOG, GRID_LOG = EVIDENCE


@dataclass(frozen=True)
class FixedLog:
    """The log with n votes for each image, its results, and those of another rule on the same votes."""

    log: Log
    protocol: CertifyProtocol

    @property
    def other_bound(self) -> str:
        """The rule that the votes are also read with."""
        return "cohen" if self.protocol.bound == "joint" else "joint"

    @cached_property
    def results(self) -> Results:
        """As they were logged."""
        return results(self.log)

    @cached_property
    def projection(self) -> Projection:
        """By the other rule, at the same alpha."""
        return project(self.log, bound=self.other_bound)

    @cached_property
    def projected(self) -> Results:
        """By the other rule."""
        return results(self.projection)


@dataclass(frozen=True)
class GridLog:
    """The log of a sequential test of given radii, and its results."""

    log: Log
    protocol: CertifyProtocol

    @property
    def radii(self) -> tuple[float, ...]:
        """The radii that were tested."""
        return self.protocol.radii or ()

    @cached_property
    def results(self) -> Results:
        """As they were logged."""
        return results(self.log)


@dataclass(frozen=True)
class TwinLog:
    """The first images of the fixed log, voted on in the other precision with the same noise."""

    own: Log
    log: Log
    precision: str

    @cached_property
    def results(self) -> tuple[Results, Results]:
        """Of the entry's own precision and of the other, on the same images."""
        return results(self.own), results(self.log)

    @property
    def differing(self) -> float:
        """A lower bound on the share of votes that differ: the votes that would have to move to turn one into the other."""
        pairs = list(zip(self.own.records, self.log.records, strict=True))
        moved = sum(
            sum(max(0, n - (b.votes or {}).get(c, 0)) for c, n in (a.votes or {}).items())
            for a, b in pairs
        )
        return moved / sum(a.n for a, _ in pairs)


@dataclass(frozen=True)
class Evidence:
    """What is known of an entry; `named` says that the registry pins this folder under its name."""

    config: EntryConfig
    recipe: Recipe | None
    named: bool
    fixed: FixedLog | None
    grid: GridLog | None
    twin: TwinLog | None
    history: History | None


def read_evidence(folder: Path, recipe: Recipe | None) -> Evidence:
    """The config and the logs, of evaluation and training, in the folder of an entry.

    Args:
        folder: holds `config.json`, and `certify.tsv` and `certify-grid.tsv` if these have been made.
        recipe: the one that made the weights; None for imported weights.

    Raises:
        FileNotFoundError: there is no config.
        ValueError: the recipe is not the weights' own, or a log is of other weights, incomplete or faulty.
    """
    config = read_config(folder)
    if not config.license.strip():
        raise ValueError(
            f"Expected a licence in {folder / 'config.json'}, got none; write its SPDX identifier, or 'unknown'."
        )
    _check_recipe(config, recipe)
    named = config.name in list_models() and get_entry(config.name).config_sha256 == sha256(
        folder / "config.json"
    )
    fixed, grid = _read(folder / LOG, config), _read(folder / GRID_LOG, config)
    both = fixed and _read_twin(folder, config, fixed[0])
    return Evidence(
        config,
        recipe,
        named,
        fixed and FixedLog(*fixed),
        grid and GridLog(*grid),
        both,
        read_history(folder, config, recipe),
    )


def _check_recipe(config: EntryConfig, recipe: Recipe | None) -> None:
    ours = None if recipe is None else recipe.fingerprint
    if config.recipe_fingerprint != ours:
        raise ValueError(
            f"Expected the recipe with fingerprint {config.recipe_fingerprint} for {config.name}, got {ours}; "
            "pass the recipe that made the weights, or train again what it makes now."
        )
    if recipe is None:
        return
    said = {
        "name": config.name,
        "license": config.license,
        "precision": config.precision,
        "noise": config.noise,
    }
    wanted = {"name": recipe.name, "license": recipe.about.license}
    wanted |= {"precision": recipe.inference.precision, "noise": recipe.inference.noise}
    for key, value in wanted.items():
        if said[key] != value:
            raise ValueError(
                f"Expected {key} {value!r} as in the recipe of {config.name}, got {said[key]!r}; make them agree."
            )


def _read(path: Path, config: EntryConfig) -> tuple[Log, CertifyProtocol] | None:
    found = read_certificates(path, config)
    if found and (
        errors := [finding.sentence for finding in audit(found[0]) if finding.severity == "error"]
    ):
        raise ValueError(
            f"Expected a log without faults in {path}, got this one: {errors[0]} Finish it, or evaluate again."
        )
    return found


def _read_twin(folder: Path, config: EntryConfig, fixed: Log) -> TwinLog | None:
    name, other = twin(config)
    found = _read(folder / name, other)
    if found is None:
        return None
    log, protocol = found
    own = Log(fixed.path, fixed.protocol, fixed.records[: len(log.records)])
    stop = fixed.protocol.stop if isinstance(fixed.protocol, CertifyProtocol) else None
    unlike = {"precision": config.precision, "stop": stop}
    if msgspec.structs.replace(protocol, **unlike) != fixed.protocol:
        raise ValueError(
            f"Expected {log.path} to differ from {fixed.path} in precision and --stop alone, got more; evaluate again."
        )
    return TwinLog(own, log, other.precision)
