"""The protocol of an evaluation: the first line of its log."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from rszoo.errors import ascending, explained
from rszoo.logs.format.lines import RADIUS_DIGITS, logged_radius

Count = Annotated[int, Meta(ge=1)]
NonNegative = Annotated[float, Meta(ge=0)]
Index = Annotated[int, Meta(ge=0)]
Alpha = Annotated[float, Meta(gt=0, lt=1)]
Power = Annotated[float, Meta(ge=0, lt=1)]

RESULT = ("idx", "label", "predict", "radius", "correct", "time")
RESULT_OF_PREDICT = ("idx", "label", "predict", "correct", "time")
RESULT_WITH_BASE = ("idx", "label", "predict", "basePredict", "correct", "time")
EVIDENCE = ("selected", "top_count", "runner_up", "runner_up_count", "n", "others")


class Protocol(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="task"
):
    """What was evaluated and how.

    Two logs of one protocol, made on one machine, are equal except for their times.

    Attributes:
        name: the entry's name.
        weights_sha256: of its weights.
        dataset, split: where the images come from.
        start, stop, stride: the images start, start + stride, ... below stop.
        shard: (i, k) if the log holds only every k-th of these images, from the i-th (1 to k); for
            attacks, every k-th batch.
        num_classes: the number of classes.
        trained_sigma, sigma: noise in training and in this evaluation, in pixel units.
        noise, precision: the law of the noise, and the arithmetic of the votes.
        alpha: failure probability of each line.
        seed: of the noise.
        software: versions, and the processor that drew the noise and voted, with its instruction
            set; for merged shards, all of them.
        loss: total variation between the noise of a sample and its stated law, subtracted from
            alpha once per sample; 0 without grid.
        stream: version of the noise's stream; 1 in logs of a time with only one.
        data_sha256: of pixels and labels of the split, by `rszoo.data.datasets.digest`; None in
            older logs, which do not say, and where shards of such logs were merged.

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
    stream: Count = 1
    data_sha256: str | None = None

    def __post_init__(self) -> None:
        """Refuse a protocol that no evaluation can follow."""
        if self.start >= self.stop:
            raise ValueError(f"start below stop is needed, not {self.start} and {self.stop}")
        if (self.noise == "grid") != (self.loss > 0):
            raise ValueError(
                "a loss above 0 is needed for grid noise, and 0 for float, "
                f"not {self.loss:g} for {self.noise}"
            )
        if self.level(self.samples_per_image) <= 0:
            raise ValueError(
                f"alpha above the error of the noise of all samples is needed, not {self.alpha:g}"
            )

    def level(self, n: int) -> float:
        """What is left of alpha for the statistics of n samples."""
        return self.alpha - n * self.loss

    @property
    def title(self) -> str:
        """The entry, and sigma where it is not the trained one."""
        same = self.sigma == self.trained_sigma
        return self.name if same else f"{self.name} at sigma {self.sigma:g}"

    @property
    def _all_images(self) -> range:
        return range(self.start, self.stop, self.stride)

    @property
    def indices(self) -> Sequence[int]:
        """The images of the log, in its order."""
        images = self._all_images
        return images if self.shard is None else images[self.shard[0] - 1 :: self.shard[1]]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return (*RESULT_OF_PREDICT, *EVIDENCE)

    @property
    def lines_per_image(self) -> int:
        """The number of lines per image."""
        return 1

    @property
    def samples_per_image(self) -> int:
        """The most samples drawn per image."""
        raise NotImplementedError

    @property
    def adaptive(self) -> bool:
        """Whether some images may need fewer samples."""
        return False


class CertifyProtocol(Protocol, frozen=True, tag="certify"):
    """CERTIFY: n0 samples select a class, at most n fresh ones bound its probability.

    Attributes:
        n0, n: samples per image, at most.
        bound: a key of `rszoo.bounds.BOUNDS`, where neither radii nor a tolerance are given.
        radii: test only these, in pixel units, one after the other, and stop when they are settled.
        tolerance: let the n0 samples choose n, to lose about that much radius, in pixel units.
        correct_only: skip images whose true class was not selected: for certified accuracy alone.
        power: give up a radius that all n samples would certify with less than this probability;
            see `RadiusTest`. Absent in older logs, which gave none up.
    """

    n0: Count
    n: Count
    bound: str
    radii: tuple[NonNegative, ...] | None = None
    tolerance: NonNegative | None = None
    correct_only: bool = False
    power: Power = 0.0

    def __post_init__(self) -> None:
        """Refuse a protocol that no evaluation can follow."""
        super().__post_init__()
        if self.radii is None:
            if self.power:
                raise ValueError(
                    f"a power of 0 is needed where no radii are given up, not {self.power:g}"
                )
            return
        if self.bound != "cohen" or self.tolerance is not None:
            raise ValueError(
                "radii have a rule of their own, "
                f"so bound {self.bound} with tolerance {self.tolerance} cannot be"
            )
        if not ascending([logged_radius(radius) for radius in self.radii]):
            raise ValueError(
                f"radii that ascend by their first {RADIUS_DIGITS} decimals are needed, "
                f"not {list(self.radii)}"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns; `path` holds the votes for `selected` at each look."""
        path = () if self.radii is None else ("path",)
        return (*RESULT, *EVIDENCE, *path)

    @property
    def samples_per_image(self) -> int:
        """The most samples drawn per image."""
        return self.n0 + self.n

    @property
    def adaptive(self) -> bool:
        """Whether some images may need fewer samples."""
        return self.radii is not None or self.tolerance is not None or self.correct_only


class PredictProtocol(Protocol, frozen=True, tag="predict"):
    """PREDICT at several numbers of samples, all from one stream of votes: one line for each."""

    n: tuple[Count, ...]

    @property
    def lines_per_image(self) -> int:
        """The number of lines per image."""
        return len(self.n)

    @property
    def samples_per_image(self) -> int:
        """The number of samples per image."""
        return max(self.n)


class AttackProtocol(Protocol, frozen=True, tag="attack"):
    """An attack at several distances; PREDICT judges each adversarial image on fresh noise.

    There is one line per distance; the first is the image itself, at distance 0.

    Attributes:
        n: samples of PREDICT, for each line.
        eps: ascending l2 distances in pixel units, without the 0.
        attack, steps, num_noise, random_start, restarts, targeted, box, redraw: as in
            `rszoo.attacks.Plan`.
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
        """The images that are attacked together.

        Shards hold whole batches, so that a sharded evaluation rounds like one in one piece.
        """
        images = self._all_images
        size = max(1, self.attack_batch // (max(1, self.num_noise) * len(self.eps)))
        batches = [images[first : first + size] for first in range(0, len(images), size)]
        return batches if self.shard is None else batches[self.shard[0] - 1 :: self.shard[1]]

    @property
    def indices(self) -> Sequence[int]:
        """The images of the log, in its order."""
        return [idx for batch in self.batches for idx in batch]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return (*super().columns, "eps", "l2")

    @property
    def lines_per_image(self) -> int:
        """The number of lines per image."""
        return len(self.distances)

    @property
    def samples_per_image(self) -> int:
        """The samples of PREDICT per image; those of the attack come on top."""
        return self.n * len(self.distances)

    @property
    def description(self) -> str:
        """The attack, and those of its options that are not the usual ones."""
        options = {
            "targeted": self.targeted,
            "random start": self.random_start,
            f"{self.restarts} restarts": self.restarts > 1,
            "no box": not self.box,
            "redraw": self.redraw,
        }
        return ", ".join([self.attack, *(name for name, used in options.items() if used)])


AnyProtocol = CertifyProtocol | PredictProtocol | AttackProtocol

Kind = TypeVar("Kind", bound=Protocol)


def validated(kind: type[Kind], values: Mapping[str, object]) -> Kind:
    """The protocol with these values.

    Raises:
        ValueError: a value is out of range; the error names it.
    """
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise ValueError(
            "Expected a protocol that can be run, "
            f"got this fault: {explained(error, kind, values)}; correct the option."
        ) from error
