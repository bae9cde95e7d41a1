"""Image files on the command line: read all of them, then let a classifier vote on each."""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from rszoo.smoothing.certificate import Certificate, Prediction, SoftCertificate

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from rszoo.smoothing.classifier import SmoothedClassifier

Result = TypeVar("Result", Certificate, SoftCertificate, Prediction)


@dataclass(frozen=True)
class Voted(Generic[Result]):
    """The result for one image file.

    Attributes:
        path: of the file.
        result: a certificate or a prediction.
        label: the name of its class; None if abstained.
        seconds: how long the vote took.
        resized: whether the image was resized or cropped before the vote. A radius is then a
            distance between images of the classifier's size, not between files.
    """

    path: Path
    result: Result
    label: str | None
    seconds: float
    resized: bool

    def as_json(self) -> dict[str, object]:
        """All fields, for JSON, and the l-infinity radius that a certificate implies."""
        implied: dict[str, float] = {}
        if not isinstance(self.result, Prediction):
            implied["implied_linf"] = self.result.implied_linf
        return {
            "image": str(self.path),
            "class": self.label,
            **asdict(self.result),
            **implied,
            "seconds": round(self.seconds, 3),
            "resized": self.resized,
        }


def vote(
    classifier: "SmoothedClassifier",
    paths: Sequence[Path],
    call: Callable[["Tensor"], Result | list[Result]],
) -> list[Voted[Result]]:
    """Vote on images one by one, after all of them have been read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file is not an image, or is cut off.
    """
    images = [open_image(path) for path in paths]
    inputs = [classifier.transform(image) for image in images]
    voted: list[Voted[Result]] = []
    for path, image, x in zip(paths, images, inputs, strict=True):
        started = time.perf_counter()
        result = call(x)
        if isinstance(result, list):  # never, as x is one image
            raise TypeError("Expected one result for one image, got a list.")
        label = None if result.abstained else classifier.classes[result.label]
        voted.append(Voted(path, result, label, time.perf_counter() - started, _resized(image, x)))
    return voted


def _resized(image: "Image", x: "Tensor") -> bool:
    """Whether x is not simply the image, upright."""
    from rszoo.data.images import convert, image_transform

    if convert(image, "RGB").size != (x.shape[2], x.shape[1]):
        return True
    shape = (x.shape[0], x.shape[1], x.shape[2])
    return not x.equal(image_transform(shape, min(image.size))(image))


def open_image(path: Path) -> "Image":
    """The image in a file, read to its end.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not an image, or is cut off.
    """
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        raise FileNotFoundError(
            f"Expected an image, got {str(path)!r}, which is no file; check the path."
        )
    try:
        # warnings are about odd metadata, which does not matter here
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            image.load()
            return image
    except UnidentifiedImageError as error:
        raise ValueError(
            f"Expected an image, got {str(path)!r}; pass a PNG or JPEG file."
        ) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"Expected a whole image, got {str(path)!r} with this fault: {error}; copy it again."
        ) from error
