"""The entries of the zoo side by side, by the certificates in their folders, and the best of them. No torch.

The logs are read, not audited; a log of other weights than the entry's is refused.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rszoo.errors import as_float
from rszoo.recipe import load_recipe
from rszoo.zoo.config import read_config
from rszoo.zoo.registry import bundled_folder, get_entry, list_models

if TYPE_CHECKING:
    from rszoo.logs.format import CertifyProtocol, Log

MEGABYTE = 10**6
Key = Literal["acr", "name", "dataset", "method", "sigma", "size"]


@dataclass(frozen=True)
class Standing:
    """What is known of an entry; None where it is not known, which is not 0.

    Attributes:
        name, dataset, architecture, method, sigma, license: as in its recipe.
        size: of the weights in the package, in bytes.
        radii: l2 radii in pixel units.
        accuracies: certified accuracy at each: of the log that tested given radii where it tested this one, on the same images
            at the same alpha, else of the log with a fixed n.
        samples: at each, the most that were drawn for an image.
        average_radius: ACR, of the log with a fixed n; abstention: share of images, of that log if there is one.
        images, n, alpha: how many images were certified, with which n of the ACR, with which failure probability each.
        logs: the files that the numbers are from.
    """

    name: str
    dataset: str
    architecture: str
    method: str
    sigma: float
    license: str
    size: int | None = None
    radii: tuple[float, ...] = ()
    accuracies: tuple[float | None, ...] = ()
    samples: tuple[int | None, ...] = ()
    average_radius: float | None = None
    abstention: float | None = None
    images: int | None = None
    n: int | None = None
    alpha: float | None = None
    logs: tuple[str, ...] = ()

    def accuracy(self, radius: float) -> float | None:
        """Certified accuracy at one of the radii."""
        return self.accuracies[self.radii.index(radius)]


@dataclass(frozen=True)
class Filter:
    """Which entries are wanted; None leaves a question open.

    Attributes:
        dataset, architecture, method, sigma: as in `Standing`.
        max_size: of the weights, in MB of 10**6 bytes; weights of unknown size are not within it.

    Raises:
        ValueError: no sigma, or no size, can be that.
    """

    dataset: str | None = None
    architecture: str | None = None
    method: str | None = None
    sigma: float | None = None
    max_size: float | None = None

    def __post_init__(self) -> None:
        """What no entry can have is refused."""
        if self.sigma is not None and not 0 < self.sigma < math.inf:
            raise ValueError(
                f"Expected a finite sigma above 0, got {self.sigma:g}; pass that of the noise, in pixel units."
            )
        if self.max_size is not None and not self.max_size >= 0:
            raise ValueError(
                f"Expected a maximal size >= 0, got {self.max_size:g}; pass MB of 10**6 bytes."
            )

    def __str__(self) -> str:
        """The questions that are not open, as "dataset 'cifar10', sigma 0.25"."""
        given = {
            key.replace("_", " "): value for key, value in vars(self).items() if value is not None
        }
        return ", ".join(f"{key} {value!r}" for key, value in given.items())

    def admits(self, standing: Standing) -> bool:
        """Whether the entry is wanted."""
        for key in ("dataset", "architecture", "method", "sigma"):
            if getattr(self, key) not in (None, getattr(standing, key)):
                return False
        if self.max_size is None:
            return True
        return standing.size is not None and standing.size <= self.max_size * MEGABYTE


def standings(
    names: Iterable[str], radii: Sequence[float] | None = None, *, wanted: Filter | None = None
) -> list[Standing]:
    """What is known of these entries, in the order of the names.

    Args:
        names: of recipes, with or without weights.
        radii: l2 radii in pixel units, at which to give the certified accuracy; None: no log is read.
        wanted: the entries to keep.

    Raises:
        FileNotFoundError: there is no recipe of that name.
        ValueError: a log is of other weights, another setting or another kind than its name says, or not finished.
    """
    pinned = set(list_models())
    found = [_described(name) for name in names]
    kept = [each for each in found if wanted is None or wanted.admits(each)]
    if radii is None:
        return kept
    return [_certified(each, tuple(radii), pinned=each.name in pinned) for each in kept]


def _described(name: str) -> Standing:
    recipe, weights = load_recipe(name), bundled_folder(name) / "model.safetensors"
    return Standing(
        name=name,
        dataset=recipe.model.dataset,
        architecture=recipe.model.architecture,
        method=recipe.method_name,
        sigma=recipe.model.sigma,
        license=recipe.about.license,
        size=weights.stat().st_size if weights.is_file() else None,
    )


def _certified(standing: Standing, radii: tuple[float, ...], *, pinned: bool) -> Standing:
    """With the numbers of its logs."""
    folder = bundled_folder(standing.name)
    logs = (
        _read(folder, get_entry(standing.name).config_sha256) if pinned and folder.is_dir() else []
    )
    unknown = (None,) * len(radii)
    if not logs:
        return replace(standing, radii=radii, accuracies=unknown, samples=unknown)
    from rszoo.logs.analysis.tabulation import log_row

    rows = [log_row(log, radii) for log in logs]
    first = rows[0]
    chosen = [
        next((row for row in reversed(rows) if row.accuracies[place] is not None), None)
        for place in range(len(radii))
    ]
    return replace(
        standing,
        radii=radii,
        accuracies=tuple(
            None if row is None else row.accuracies[place] for place, row in enumerate(chosen)
        ),
        samples=tuple(None if row is None else row.n for row in chosen),
        average_radius=first.average_radius,
        abstention=first.abstention,
        images=first.images,
        n=None if first.average_radius is None else first.n,
        alpha=first.alpha,
        logs=tuple(
            log.path.name
            for log, row in zip(logs, rows, strict=True)
            if row is first or row in chosen
        ),
    )


def _read(folder: Path, expected_sha256: str) -> "list[Log]":
    """The log with a fixed n and then the log of given radii, those that there are; the second if it is of the same images."""
    from rszoo.zoo.evidence import read_certificates  # scipy is slow to import
    from rszoo.zoo.layout import FIXED_LOG, GRID_LOG

    config = read_config(folder, expected_sha256=expected_sha256)
    found = [
        each
        for name in (FIXED_LOG, GRID_LOG)
        if (each := read_certificates(folder / name, config)) is not None
    ]
    for log, protocol in found:
        _check_images(log, protocol)
    asked = [(list(protocol.indices), protocol.alpha) for _, protocol in found]
    return [log for (log, _), each in zip(found, asked, strict=True) if each == asked[0]]


def _check_images(log: "Log", protocol: "CertifyProtocol") -> None:
    if protocol.split != "test":
        raise ValueError(
            f"Expected certificates of test images in {log.path}, got {protocol.split}; evaluate the test split."
        )
    if [record.idx for record in log.records] != list(protocol.indices):
        raise ValueError(
            f"Expected the {len(protocol.indices)} images of its protocol in {log.path}, got {len(log.records)} lines that are "
            "not these; finish it with 'rszoo evaluate'."
        )


def ordered(found: Iterable[Standing], by: float | Key) -> list[Standing]:
    """The entries in order, those without the number last, equal ones by name.

    Args:
        found: the entries.
        by: "name", "dataset", "method", "sigma" or "size", ascending, equal ones by sigma; "acr", descending; or one of their
            radii: certified accuracy descending, equal ones by ACR.
    """
    return sorted(found, key=lambda standing: (*_rank(standing, by), standing.name))


def _rank(standing: Standing, by: float | Key) -> list[Any]:
    """Smaller is earlier."""
    match by:
        case "acr":
            return [_descending(standing.average_radius)]
        case "size":
            return [math.inf if standing.size is None else standing.size]
        case str():
            return [getattr(standing, by), standing.sigma]
        case _:
            return [_descending(standing.accuracy(by)), _descending(standing.average_radius)]


def _descending(value: float | None) -> float:
    return math.inf if value is None else -value


def best(
    dataset: str = "cifar10",
    radius: float = 0.5,
    *,
    method: str | None = None,
    architecture: str | None = None,
    max_size: float | None = None,
) -> str:
    """The name of the entry with the largest certified accuracy at a radius, by the logs in the package alone.

    Logs are compared as they are, also with unlike images, samples or alpha, which `rszoo list --radius` prints. The certified
    accuracy of the entry that is chosen by it is a little optimistic, the more so the more entries there are.

    Args:
        dataset: that it classifies.
        radius: l2 radius in pixel units; at 0, the accuracy of the smoothed classifier.
        method, architecture: only entries of these.
        max_size: only entries whose weights take at most that many MB (10**6 bytes).

    Returns:
        The name, for `rszoo.load`; of equal ones that with the larger average certified radius, then the first name.

    Raises:
        ValueError: no such entry has certified an image at this radius, or a log is refused as by `standings`.
    """
    if not 0 <= as_float("a radius", radius) < math.inf:
        raise ValueError(f"Expected a radius >= 0, got {radius}; pass a distance in pixel units.")
    wanted = Filter(dataset=dataset, architecture=architecture, method=method, max_size=max_size)
    found = ordered(standings(list_models(), (radius,), wanted=wanted), radius)
    if not found or not found[0].accuracy(radius):
        raise ValueError(
            f"Expected an entry of {wanted} with certificates for radius {radius:g}, got none; 'rszoo list --radius "
            f"{radius:g}' prints what there is; 'rszoo evaluate RUN --out RUN/certify.tsv' and 'rszoo bundle RUN' add some."
        )
    return found[0].name
