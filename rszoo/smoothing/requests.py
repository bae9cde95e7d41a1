"""What a procedure is given and asks for: its setting, and samples of a stage's noise. No torch."""

from collections.abc import Generator
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, TypedDict, TypeVar

if TYPE_CHECKING:
    from rszoo.bounds import Scores

Result = TypeVar("Result")


class Stage(IntEnum):
    """The purpose of a stream of noise; two stages never share draws."""

    SELECT = 0
    ESTIMATE = 1
    PREDICT = 2
    ATTACK = 3


class Request(NamedTuple):
    """The samples start, ..., stop - 1 of a stage's stream.

    With `scores` their softmax outputs are wanted, not their votes; those of the class `follow`
    also one by one, in the order of drawing.
    """

    stage: Stage
    start: int
    stop: int
    scores: bool = False
    follow: int | None = None


Procedure = Generator[Request, list[int], Result]
"""Yields requests, is sent the votes for each (one count per class), returns a result."""

SoftProcedure = Generator[Request, "Scores", Result]
"""Yields requests for scores, is sent them, returns a result."""


class Facts(TypedDict):
    """The settings that every answer states; see `Setting`."""

    alpha: float
    sigma: float
    noise: str
    precision: str
    seed: int
    stream: int


@dataclass(frozen=True)
class Setting:
    """What all images of a call share.

    Attributes:
        alpha: failure probability per image.
        sigma, noise, precision, seed: as in `Certificate`.
        stream: version of the noise's stream.
        loss: total variation between the noise of a sample and its stated law; each sample costs
            this much of alpha.
        values: C H W, the number of values of an image.
    """

    alpha: float
    sigma: float
    noise: str
    precision: str
    seed: int
    stream: int
    loss: float
    values: int

    def facts(self) -> Facts:
        """The settings that every answer states."""
        return Facts(
            alpha=self.alpha,
            sigma=self.sigma,
            noise=self.noise,
            precision=self.precision,
            seed=self.seed,
            stream=self.stream,
        )

    def level(self, n: int) -> float:
        """What n samples leave of alpha for the statistics.

        Raises:
            ValueError: nothing is left.
        """
        level = self.alpha - n * self.loss
        if level <= 0:
            raise ValueError(
                "Expected alpha above the error of the grid noise, "
                f"got alpha={self.alpha}; use a larger alpha."
            )
        return level
