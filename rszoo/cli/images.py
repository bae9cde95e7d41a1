"""Image files on the command line: which they are, and what a classifier votes on each."""

import glob
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
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
        """All fields of the result, for JSON, and what is known of the file."""
        return {
            "image": str(self.path),
            "class": self.label,
            **self.result.to_dict(),
            "seconds": round(self.seconds, 3),
            "resized": self.resized,
        }


Refuse = Callable[[ValueError | OSError], None]


def find_images(arguments: Sequence[str], refuse: Refuse) -> list[Path]:
    """The files that are meant: of a folder those named as images, of a pattern those it matches.

    Each sorted. Subfolders, and files whose names begin with a dot, are left out of folders.
    Whether the files are images is not checked.

    Args:
        arguments: files, folders and patterns such as "photos/**/*.png".
        refuse: called with the error where a folder has no image or a pattern no file.
    """
    paths: list[Path] = []
    for text in arguments:
        path, kind = Path(text), ""
        if path.is_dir():
            kind = "folder"
            found = [each for each in path.iterdir() if _is_named_image(each)]
        elif glob.has_magic(text) and not path.exists():
            kind = "pattern"
            found = [Path(each) for each in glob.glob(text, recursive=True)]
        else:
            paths.append(path)
            continue
        if not (files := sorted(each for each in found if each.is_file())):
            refuse(
                FileNotFoundError(
                    f"Expected images, got {text!r}, a {kind} without one; check the path."
                )
            )
        paths += files
    return paths


def _is_named_image(path: Path) -> bool:
    """Whether a file in a folder is named as an image; others lie beside images."""
    from PIL.Image import registered_extensions

    return path.suffix.lower() in registered_extensions() and not path.name.startswith(".")


def open_images(paths: Iterable[Path], refuse: Refuse) -> "Iterator[tuple[Path, Image]]":
    """The images in these files, one by one; what cannot be read is left out.

    Args:
        paths: of the files.
        refuse: called with the error of `open_image` for each file that cannot be read.
    """
    for path in paths:
        try:
            image = open_image(path)
        except (ValueError, OSError) as error:
            refuse(error)
        else:
            yield path, image


def vote(
    classifier: "SmoothedClassifier",
    images: "Iterable[tuple[Path, Image]]",
    call: Callable[["Tensor"], Result | list[Result]],
) -> Iterator[Voted[Result]]:
    """Vote on images one by one; each result as soon as it is known.

    Args:
        classifier: what votes.
        images: with the paths of their files; taken as needed.
        call: votes on an image.
    """
    for path, image in images:
        x = classifier.transform(image)
        started = time.perf_counter()
        result = call(x)
        if isinstance(result, list):  # never, as x is one image
            raise TypeError("Expected one result for one image, got a list.")
        label = None if result.abstained else classifier.classes[result.label]
        yield Voted(path, result, label, time.perf_counter() - started, _resized(image, x))


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
