"""The protocol of an evaluation, the first line of its log: what all tasks share."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from rszoo.errors import explained

Count = Annotated[int, Meta(ge=1)]
NonNegative = Annotated[float, Meta(ge=0)]
Index = Annotated[int, Meta(ge=0)]
Alpha = Annotated[float, Meta(gt=0, lt=1)]

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
    def all_images(self) -> range:
        """The images of all shards together."""
        return range(self.start, self.stop, self.stride)

    @property
    def indices(self) -> Sequence[int]:
        """The images of the log, in its order."""
        images = self.all_images
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
