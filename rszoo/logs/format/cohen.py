"""The logs that Cohen et al. 2019 published: their columns alone, without protocol and votes."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rszoo.logs.format.protocol import RESULT, RESULT_OF_PREDICT

PUBLISHED = {RESULT, RESULT_OF_PREDICT}


@dataclass(frozen=True)
class Given:
    """What the user says about published files, which have no protocol; None for the rest.

    Raises:
        ValueError: a value is out of range.
    """

    sigma: float | None = None
    n: int | None = None
    alpha: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that no evaluation has."""
        in_range = {
            "sigma": self.sigma is None or 0 < self.sigma < math.inf,
            "n": self.n is None or self.n >= 1,
            "alpha": self.alpha is None or 0 < self.alpha < 1,
        }
        for name, fits in in_range.items():
            if not fits:
                raise ValueError(
                    "Expected sigma > 0, n >= 1 and 0 < alpha < 1, "
                    f"got {name}={getattr(self, name)}; pass what the paper states."
                )


class PublishedProtocol(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a published file: what the user says, else what its path says.

    It is made when a file is read and never written.

    Attributes:
        title: the last parts of the path.
        columns: the names of the columns.
        sigma: noise of the evaluation, in pixel units.
        sigma_from_path: whether the path says so (as in sigma_0.25) and not the user.
        n: samples per image; of PREDICT, those in the file's name (as in N_1000).
        alpha: failure probability of each line.
        bound: the rule of the radii.
        loss: of the noise; see `Protocol`.
        adaptive: whether some images may need fewer than n samples.
    """

    title: str
    columns: tuple[str, ...]
    sigma: float | None = None
    sigma_from_path: bool = False
    n: int | None = None
    alpha: float | None = None
    bound: str = "cohen"
    loss: float = 0.0
    adaptive: bool = False


def published_protocol(
    path: Path, columns: tuple[str, ...], given: Given | None
) -> PublishedProtocol:
    """What is known about the published file at `path`."""
    given = given or Given()
    sigmas = re.findall(r"sigma_(\d+(?:\.\d+)?)", str(path)) if given.sigma is None else []
    samples = re.fullmatch(r"N_(\d+)", path.stem)
    n_of_predict = int(samples[1]) if samples else None
    return PublishedProtocol(
        title="/".join(path.parts[-4:]),
        columns=columns,
        sigma=float(sigmas[-1]) if sigmas else given.sigma,
        sigma_from_path=bool(sigmas),
        n=given.n if columns == RESULT else n_of_predict,
        alpha=given.alpha,
    )
