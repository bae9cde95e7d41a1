"""The protocol of an evaluation, as the first line of its log holds it."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]
NonNegative = Annotated[float, Meta(ge=0)]
Index = Annotated[int, Meta(ge=0)]
Alpha = Annotated[float, Meta(gt=0, lt=1)]

EVIDENCE = ("selected", "top_count", "runner_up", "runner_up_count", "n", "others")


class Protocol(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="task"):
    """What was evaluated and how; two logs of one protocol on one machine are equal but for their times.

    Attributes:
        name: the entry's name.
        weights_sha256: of its weights.
        dataset, split: where the images are from.
        start, stop, stride: the images start, start + stride, ... below stop.
        shard: (i, k) if the log holds only every k-th of these, from the i-th (1 to k).
        num_classes: the number of classes.
        trained_sigma, sigma: noise of training and of this evaluation, in pixel units.
        noise, precision: the law of the noise, and the arithmetic of the votes.
        alpha: failure probability, for each line.
        seed: of the noise.
        software: versions and kind of device that drew the noise and voted.
    """

    name: str
    weights_sha256: str
    dataset: str
    split: Literal["train", "test"]
    start: Index
    stop: Index
    stride: Count
    shard: tuple[Count, Count] | None
    num_classes: Annotated[int, Meta(ge=2)]
    trained_sigma: Annotated[float, Meta(gt=0)]
    sigma: Annotated[float, Meta(gt=0)]
    noise: Literal["float", "grid"]
    precision: Literal["float32", "bfloat16"]
    alpha: Alpha
    seed: Index
    software: str

    @property
    def indices(self) -> range:
        """The images of the log, in its order."""
        every = range(self.start, self.stop, self.stride)
        return every if self.shard is None else every[self.shard[0] - 1 :: self.shard[1]]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return ("idx", "label", "predict", "radius", "correct", "time", *EVIDENCE)

    @property
    def lines_an_image(self) -> int:
        """How many lines there are for each image."""
        return 1

    @property
    def samples_an_image(self) -> int:
        """How many samples are drawn for an image, at most."""
        raise NotImplementedError

    @property
    def adaptive(self) -> bool:
        """Whether an image may need fewer."""
        return False


class CertifyProtocol(Protocol, frozen=True, tag="certify"):
    """CERTIFY: n0 samples select a class, n fresh ones, or fewer, bound its probability.

    Attributes:
        n0, n: samples, at most.
        bound: a key of `rszoo.bounds.BOUNDS`, where neither radii nor a tolerance are given.
        radii: a sequential test of these radii, in pixel units, that stops when they are settled.
        tolerance: n is chosen for each image by its n0 samples, to lose about that much radius, in pixel units.
        correct_only: images whose true class was not selected are not estimated: for certified accuracy alone.
    """

    n0: Count
    n: Count
    bound: str
    radii: tuple[NonNegative, ...] | None = None
    tolerance: NonNegative | None = None
    correct_only: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns; a sequential test also keeps the votes for `selected` at its looks."""
        return super().columns if self.radii is None else (*super().columns, "path")

    @property
    def samples_an_image(self) -> int:
        """The number of samples an image."""
        return self.n0 + self.n

    @property
    def adaptive(self) -> bool:
        """Whether an image may need fewer."""
        return self.radii is not None or self.tolerance is not None or self.correct_only


class PredictProtocol(Protocol, frozen=True, tag="predict"):
    """PREDICT at several numbers of samples, all from one stream of votes: a line for each."""

    n: tuple[Count, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return ("idx", "label", "predict", "correct", "time", *EVIDENCE)

    @property
    def lines_an_image(self) -> int:
        """How many lines there are for each image."""
        return len(self.n)

    @property
    def samples_an_image(self) -> int:
        """The number of samples an image."""
        return max(self.n)


AnyProtocol = CertifyProtocol | PredictProtocol

Kind = TypeVar("Kind", bound=Protocol)


def validated(kind: type[Kind], values: Mapping[str, object]) -> Kind:
    """The protocol of these values.

    Raises:
        ValueError: a value is out of range; the error names it.
    """
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"Expected a protocol that can be run, got this fault: {error}; correct the option.") from error
