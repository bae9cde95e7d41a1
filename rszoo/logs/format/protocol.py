"""The protocol of an evaluation, as the first line of its log holds it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from rszoo.errors import explained
from rszoo.logs.format.lines import RADIUS_DIGITS, logged_radius

Count = Annotated[int, Meta(ge=1)]
NonNegative = Annotated[float, Meta(ge=0)]
Index = Annotated[int, Meta(ge=0)]
Alpha = Annotated[float, Meta(gt=0, lt=1)]
Power = Annotated[float, Meta(ge=0, lt=1)]

EVIDENCE = ("selected", "top_count", "runner_up", "runner_up_count", "n", "others")


class Protocol(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="task"
):
    """What was evaluated and how; two logs of one protocol on one machine are equal but for their times.

    Attributes:
        name: the entry's name.
        weights_sha256: of its weights.
        dataset, split: where the images are from.
        start, stop, stride: the images start, start + stride, ... below stop.
        shard: (i, k) if the log holds only every k-th of these, from the i-th (1 to k); of attacks, every k-th batch of them.
        num_classes: the number of classes.
        trained_sigma, sigma: noise of training and of this evaluation, in pixel units.
        noise, precision: the law of the noise, and the arithmetic of the votes.
        alpha: failure probability, for each line.
        seed: of the noise.
        software: versions, and the processor that drew the noise and voted, with its instructions; of merged shards, all of
            them.
        loss: total variation between the noise of a sample and its stated law, taken off alpha once a sample; 0 without grid.

    Raises:
        ValueError: no evaluation can have these values together.
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
    loss: NonNegative = 0.0

    def __post_init__(self) -> None:
        """A protocol that no evaluation can follow is refused."""
        if self.start >= self.stop:
            raise ValueError(f"start below stop is needed, not {self.start} and {self.stop}")
        if (self.noise == "grid") != (self.loss > 0):
            raise ValueError(
                f"a loss above 0 is needed for grid noise, and 0 for float, not {self.loss:g} for {self.noise}"
            )
        if self.level(self.samples_an_image) <= 0:
            raise ValueError(
                f"alpha above the error of the noise of all samples is needed, not {self.alpha:g}"
            )

    def level(self, n: int) -> float:
        """What is left of alpha for the statistics of n samples."""
        return self.alpha - n * self.loss

    @property
    def indices(self) -> Sequence[int]:
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
        power: a radius that all n samples would certify with less than this probability is given up; see `RadiusTest`. Absent
            in logs of a time that did not.
    """

    n0: Count
    n: Count
    bound: str
    radii: tuple[NonNegative, ...] | None = None
    tolerance: NonNegative | None = None
    correct_only: bool = False
    power: Power = 0.0

    def __post_init__(self) -> None:
        """A protocol that no evaluation can follow is refused."""
        super().__post_init__()
        if self.radii is None:
            if self.power:
                raise ValueError(
                    f"a power of 0 is needed where no radii are given up, not {self.power:g}"
                )
            return
        if self.bound != "cohen" or self.tolerance is not None:
            raise ValueError(
                f"radii have a rule of their own, so bound {self.bound} with tolerance {self.tolerance} cannot be"
            )
        written = [logged_radius(radius) for radius in self.radii]
        if not written or written != sorted(set(written)):
            raise ValueError(
                f"radii that ascend by their first {RADIUS_DIGITS} decimals are needed, not {list(self.radii)}"
            )

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


class AttackProtocol(Protocol, frozen=True, tag="attack"):
    """An attack at several distances, each adversarial image judged by PREDICT on fresh noise: a line for each distance.

    The first line of an image is that of the image itself, at distance 0.

    Attributes:
        n: samples of PREDICT, for each line.
        eps: ascending l2 distances in pixel units, without the 0.
        attack, steps, num_noise, random_start, restarts, targeted, box, redraw: as in `rszoo.attacks.Plan`.
        attack_batch: noisy images that are attacked together; rounding depends on it.
    """

    n: Count
    eps: Annotated[tuple[Annotated[float, Meta(gt=0)], ...], Meta(min_length=1)]
    attack: str
    steps: Count
    num_noise: Index
    random_start: bool
    restarts: Count
    targeted: bool
    box: bool
    redraw: bool
    attack_batch: Count

    @property
    def distances(self) -> tuple[float, ...]:
        """The distances of the lines of an image."""
        return (0.0, *self.eps)

    @property
    def batches(self) -> Sequence[Sequence[int]]:
        """The images that are attacked together; shards hold whole batches, so that rounding is that of one piece."""
        every = range(self.start, self.stop, self.stride)
        size = max(1, self.attack_batch // (max(1, self.num_noise) * len(self.eps)))
        whole = [every[first : first + size] for first in range(0, len(every), size)]
        return whole if self.shard is None else whole[self.shard[0] - 1 :: self.shard[1]]

    @property
    def indices(self) -> Sequence[int]:
        """The images of the log, in its order."""
        return [idx for batch in self.batches for idx in batch]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return ("idx", "label", "predict", "correct", "time", *EVIDENCE, "eps", "l2")

    @property
    def lines_an_image(self) -> int:
        """How many lines there are for each image."""
        return len(self.distances)

    @property
    def samples_an_image(self) -> int:
        """The number of samples of PREDICT an image; those of the attack come on top."""
        return self.n * len(self.distances)


AnyProtocol = CertifyProtocol | PredictProtocol | AttackProtocol

Kind = TypeVar("Kind", bound=Protocol)


def validated(kind: type[Kind], values: Mapping[str, object]) -> Kind:
    """The protocol of these values.

    Raises:
        ValueError: a value is out of range; the error names it.
    """
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise ValueError(
            f"Expected a protocol that can be run, got this fault: {explained(error, kind, values)}; correct the option."
        ) from error
