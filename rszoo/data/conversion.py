"""A PIL image in grey or RGB, as a viewer shows it, or else an error or a warning.

Pillow drops much without a word: bits beyond 8 per channel, transparency and what it hides, all
frames but one, the colour profile. Refused is what would leave another picture than the one that a
viewer shows; what shows the same picture in somewhat other colours is read with an `ImageWarning`.
"""

import re
import warnings
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from io import BytesIO
from threading import Lock

import numpy as np
from PIL import Image, ImageChops, ImageCms, ImageFile, ImageOps

SAME_COLOUR = 8  # of 255: grey profiles of gamma 2.2 are within it, Adobe RGB is not


class ImageError(ValueError):
    """An image that would be read as another picture than a viewer shows."""


class ImageWarning(UserWarning):
    """An image is read in other colours than a viewer shows."""


_TOLERANCE = Lock()  # Pillow's flag belongs to the process


def convert(image: Image.Image, mode: str) -> Image.Image:
    """The image in this mode, "L" or "RGB", turned upright by its metadata.

    Warns with `ImageWarning` where its colours are not sRGB, or would become grey.

    Raises:
        ImageError: it has more than 8 bits per channel, transparent pixels, or several frames.
        OSError: its file is cut off, even if ImageFile.LOAD_TRUNCATED_IMAGES is set.
    """
    with _TOLERANCE:
        tolerant, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
        try:
            with _source(image) as source:
                _check_file(source)
                image.load()
                if tolerant:  # it may have been loaded before
                    source.load()
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = tolerant
    if _is_transparent(image):
        raise ImageError(
            f"Expected an opaque image, got transparent pixels{place(image)}; "
            "paste it on a background: what they hide would be read, too."
        )
    upright = ImageOps.exif_transpose(image)
    upright.info.pop("transparency", None)  # unused, but Pillow would warn
    rgb = upright.convert("RGB")
    for colours in _other_colours(image, rgb, mode):
        message = f"Expected {colours}{place(image)}; convert the file first."
        warnings.warn(message, ImageWarning, stacklevel=3)
    return rgb.convert(mode)


def place(image: Image.Image) -> str:
    """Where the image is from, for an error message: its file, or nothing."""
    name = _file_name(image)
    return f" in {name}" if name else ""


def _file_name(image: Image.Image) -> str:
    return str(getattr(image, "filename", ""))


def _source(image: Image.Image) -> AbstractContextManager[Image.Image]:
    """The image as its file declares it; loading has made Pillow forget the bits per channel."""
    name = _file_name(image)
    if not name or getattr(image, "tile", None):
        return nullcontext(image)
    try:
        source = Image.open(name)
    except (OSError, ValueError):  # it is gone
        return nullcontext(image)
    if (source.format, source.size) == (image.format, image.size):
        return source
    source.close()  # it is another file by now
    return nullcontext(image)


def _check_file(source: Image.Image) -> None:
    if deep := _more_than_8_bits(source):
        raise ImageError(
            f"Expected an image of 8 bits per channel, got one of {deep}{place(source)}; "
            "scale its values to 0 ... 255 first."
        )
    if (frames := _frames(source)) > 1:
        raise ImageError(
            f"Expected one picture, got {frames} frames{place(source)}; "
            "save the one that is meant as a file, or pass its copy()."
        )


def _more_than_8_bits(source: Image.Image) -> str:
    """What shows that the file has more than 8 bits per channel, or nothing."""
    if source.mode.startswith(("I", "F")):
        return f"mode {source.mode!r}"
    for tile in getattr(source, "tile", ()):
        if re.search(r";(12|16|32)[BLNRS]|SGI16", f"{tile[0]} {tile[3]}"):
            return f"16 bits ({tile[3]})"
        if tile[0].startswith("ppm") and tile[3][1] > 255:
            return f"values to {tile[3][1]}"
    bits = int(np.max(getattr(source, "tag_v2", {}).get(258, 8)))  # TIFF's BitsPerSample
    if source.format in ("JPEG2000", "AVIF") and (name := _file_name(source)):
        bits = _declared_bits(name)
    return f"{bits} bits" if bits > 8 else ""


def _declared_bits(path: str) -> int:
    """Bits per channel in the headers of JPEG 2000 (marker SIZ) and AVIF (box av1C)."""
    with open(path, "rb") as file:
        head = file.read(1 << 16)
    if (box := head.find(b"av1C")) >= 0:
        return 10 if head[box + 6] & 0x40 else 8
    size = head.find(b"\xff\x4f\xff\x51")
    return (head[size + 42] & 0x7F) + 1 if size >= 0 else 8


def _frames(source: Image.Image) -> int:
    if source.format in ("MPO", "PSD"):  # a photograph and its preview; the layers of one picture
        return 1
    try:
        return int(getattr(source, "n_frames", 1))
    except (OSError, ValueError, EOFError):  # the file was closed
        return 1


def _is_transparent(image: Image.Image) -> bool:
    alpha = image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info
    return alpha and image.convert("RGBA").getchannel("A").getextrema() != (255, 255)


def _other_colours(image: Image.Image, rgb: Image.Image, mode: str) -> list[str]:
    """How the colours that are read differ from a viewer's: what was expected, and what came."""
    profile = image.info.get("icc_profile")
    gamma = 1 / 2.2 if profile or "srgb" in image.info else image.info.get("gamma", 1 / 2.2)
    ways = {
        "colours in RGB, got CMYK": image.mode == "CMYK",
        "colours in sRGB, got another profile": profile and not _is_srgb(profile, image.mode),
        f"colours in sRGB, got gamma {gamma:.3g}": abs(gamma - 1 / 2.2) > 0.02,
        "a grey image, got one in colour": mode == "L" and _is_coloured(rgb),
    }
    return [way for way, applies in ways.items() if applies]


def _is_coloured(rgb: Image.Image) -> bool:
    red, *others = rgb.split()
    return any(ImageChops.difference(red, other).getbbox() for other in others)


@lru_cache(maxsize=64)
def _is_srgb(profile: bytes, mode: str) -> bool:
    """Whether a profile shows colours as sRGB does, or is broken, so that viewers ignore it."""
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    colours = Image.fromarray(levels[None] if mode in ("1", "L", "LA") else cube)
    try:
        own = ImageCms.ImageCmsProfile(BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        shown = ImageCms.profileToProfile(colours, own, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return True
    distance = np.asarray(shown, np.int16) - np.asarray(colours.convert("RGB"), np.int16)
    return int(np.abs(distance).max()) <= SAME_COLOUR
