"""What a procedure asks of the engine: samples of a stage's stream. No torch."""

from collections.abc import Generator
from enum import IntEnum
from typing import NamedTuple, TypeVar

Result = TypeVar("Result")


class Stage(IntEnum):
    """What a stream is for; two stages never share draws."""

    SELECT = 0
    ESTIMATE = 1
    PREDICT = 2
    ATTACK = 3


class Request(NamedTuple):
    """The samples start, ..., stop - 1 of the stream of a stage."""

    stage: Stage
    start: int
    stop: int


Procedure = Generator[Request, list[int], Result]
"""Yields requests, is sent their votes (one number a class), returns a result."""
