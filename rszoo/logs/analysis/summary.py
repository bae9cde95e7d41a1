"""The numbers of papers, from a log of CERTIFY: certified accuracy, average radius, abstentions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rszoo.bounds import certified_accuracy_lower, overstated_images
from rszoo.logs.analysis.possible import check_lines
from rszoo.logs.analysis.projection import Projection, reach
from rszoo.logs.format import Log, PublishedProtocol, logged_radius

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Results:
    """The results of CERTIFY for m images: arrays of length m, in the order of the log.

    Attributes:
        idx, label: index and true class of the image.
        radius: certified l2 radius in pixel units, 0 where it abstained.
        correct: whether the prediction is the true class.
        abstained: whether there is no prediction.
        reach: the largest radius that the votes can certify, in pixel units.
        tested: the radii of a sequential test; None if the radii are the largest possible.
    """

    idx: NDArray[np.int64]
    label: NDArray[np.int64]
    radius: Floats
    correct: NDArray[np.bool_]
    abstained: NDArray[np.bool_]
    reach: float = np.inf
    tested: tuple[float, ...] | None = None

    def __len__(self) -> int:
        return len(self.idx)

    def certified(self, radius: float) -> NDArray[np.bool_]:
        """Which images have the right class and at least this radius; at 0, all that are right."""
        return self.correct & (self.radius >= radius)

    def count(self, radius: float) -> int:
        """How many images are `certified`."""
        return int(self.certified(radius).sum())

    def accuracy(self, radius: float) -> float:
        """The share of `certified` images; at 0, clean accuracy of the smoothed classifier."""
        return self.count(radius) / len(self)

    def answers(self, radius: float) -> bool:
        """Whether it was measured which images are certified at this radius."""
        return radius <= self.reach if self.tested is None else radius in self.tested

    def measured(self, radius: float) -> float | None:
        """Certified accuracy at this radius; None where it was not measured."""
        return self.accuracy(radius) if self.answers(radius) else None

    @property
    def gain(self) -> Floats:
        """The radius where the class is right, else 0."""
        return np.where(self.correct, self.radius, 0.0)

    @property
    def average_radius(self) -> float:
        """Average certified radius (ACR): the mean of `gain` over all images."""
        return float(self.gain.mean())

    @property
    def abstention(self) -> float:
        """The share of images without a prediction."""
        return float(self.abstained.mean())

    def where(self, chosen: NDArray[Any]) -> "Results":
        """The results of some of the images."""
        arrays = {key: part for key, part in vars(self).items() if isinstance(part, np.ndarray)}
        return replace(self, **{key: part[chosen] for key, part in arrays.items()})

    def by_class(self) -> dict[int, "Results"]:
        """The results by true class."""
        return {int(label): self.where(self.label == label) for label in np.unique(self.label)}

    def curve(self) -> tuple[Floats, Floats]:
        """Certified accuracy as an exact step function: radii from 0 up, and the accuracy at each.

        Between two of the radii the accuracy is that of the larger one. Above the last it is 0 up
        to `reach`, and not known beyond.
        """
        ordered = np.sort(self.radius[self.correct])
        radii = np.unique(np.append(0.0, ordered))
        return radii, (ordered.size - np.searchsorted(ordered, radii)) / len(self)


def results(log: Log) -> Results:
    """The results in a log of CERTIFY; radii of a sequential test exactly as they were tested.

    Raises:
        ValueError: it is no log of CERTIFY, has no image, an image twice, or a line that no
            evaluation writes.
    """
    if not log.certifies:
        raise ValueError(
            f"Expected a log of CERTIFY, got {log.path}, one of PREDICT or an attack; "
            "pass logs of one kind."
        )
    if not log.records:
        raise ValueError(
            f"Expected results in {log.path}, got no image; run 'rszoo evaluate' before."
        )
    idx = np.array([record.idx for record in log.records], dtype=np.int64)
    if np.unique(idx).size < idx.size:
        raise ValueError(
            f"Expected each image once in {log.path}, got some twice; "
            "'rszoo audit' lists them: delete one of each."
        )
    radii = [record.radius or 0.0 for record in log.records]
    if faulty := [radius for radius in radii if not 0 <= radius < np.inf]:
        raise ValueError(
            f"Expected radii >= 0 in {log.path}, got {faulty[0]}; "
            "'rszoo audit' lists such lines: correct them."
        )
    check_lines(log)
    tested = {logged_radius(radius): radius for radius in reversed(log.tested_radii or ())}
    return Results(
        idx,
        np.array([record.label for record in log.records], dtype=np.int64),
        np.array([tested.get(radius, radius) for radius in radii]),
        np.array([record.correct for record in log.records]),
        np.array([record.predict == -1 for record in log.records]),
        reach=reach(log),
        tested=log.tested_radii,
    )


def proved(log: Log) -> Results:
    """`results` with radii that hold.

    Published files round radii to nearest, so each of theirs is taken to be smaller by half a unit
    of its last digit, as the file writes it: 0.2510 may have been 0.25095.

    Raises:
        ValueError: the log is an estimate, or as of `results`.
    """
    if isinstance(log, Projection) and log.estimated:
        raise ValueError(
            f"Expected certificates to bound the accuracy, got {log.title}, an estimate; "
            "take the log as it is."
        )
    rounded = results(log)
    if not isinstance(log.protocol, PublishedProtocol):
        return rounded
    slack = np.array([record.rounding for record in log.records]) * (1 + 1e-9)
    return replace(rounded, radius=np.maximum(0.0, rounded.radius - slack))


def lower_bounds(
    proven: Results, radii: Sequence[float], *, alpha: float, rho: float
) -> tuple[list[float], list[float]]:
    """Lower bounds on the certified accuracy, each too large with probability at most `rho`.

    Args:
        proven: results as of `proved`, with noise that is independent from image to image.
        radii: where to bound it, in pixel units.
        alpha: failure probability of CERTIFY for each image.
        rho: failure probability of the bounds.

    Returns:
        The bounds that hold at one radius, chosen beforehand; those that hold at all radii at once.
    """
    counts, images = [proven.count(radius) for radius in radii], len(proven)
    overstated = overstated_images(images, alpha=alpha, rho=rho)
    pointwise = [certified_accuracy_lower(count, images, alpha=alpha, rho=rho) for count in counts]
    return pointwise, [max(0, count - overstated) / images for count in counts]


def vote_share(log: Log) -> float:
    """The mean share of votes for the true class: the accuracy of the base classifier under noise.

    It is the accuracy on the images of the log, averaged over the noise too. The number of votes
    must not depend on the votes.

    Raises:
        ValueError: it is a published file, without votes, or the number of votes is not fixed.
    """
    if log.protocol.adaptive or not any(record.votes for record in log.records):
        raise ValueError(
            f"Expected a log with n votes per image, got {log.path}; evaluate with a fixed n."
        )
    return float(np.mean([each.votes.get(each.label, 0) / each.n for each in log.records]))
