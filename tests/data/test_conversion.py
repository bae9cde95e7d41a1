"""Images that Pillow opens as something else than a viewer shows."""

import io
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageFile
from PIL.MpoImagePlugin import MpoImageFile

from rszoo.cli.images import open_image
from rszoo.data.conversion import _declared_bits
from rszoo.data.folders import LabelledFiles
from rszoo.data.images import ImageError, ImageWarning, convert, image_transform

COLOURS = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SWAPPED = SRGB.replace(b"rXYZ", b"----").replace(b"gXYZ", b"rXYZ").replace(b"----", b"gXYZ")


@pytest.fixture(autouse=True)
def _warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings(action="error", category=UserWarning):
        yield


def png(depth: int, kind: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """An 8 x 8 file of this bit depth and colour type."""
    size = {0: 1, 2: 3, 4: 2, 6: 4}[kind] * depth // 8
    rows = (b"\0" + bytes(range(8 * size))) * 8
    header = struct.pack(">IIBBBBB", 8, 8, depth, kind, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def tiff(bits: int) -> bytes:
    """An 8 x 8 file in RGB of so many bits per channel."""
    short = {256: 8, 257: 8, 259: 1, 262: 2, 277: 3, 278: 8, 284: 1}
    long = {273: 152, 279: 24 * bits}
    tags = [struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in short.items()]
    tags += [struct.pack("<HHII", tag, 4, 1, value) for tag, value in long.items()]
    tags.append(struct.pack("<HHII", 258, 3, 3, 146))
    tags.sort(key=lambda tag: struct.unpack_from("<H", tag))
    place = 8 + 2 + 12 * len(tags) + 4
    assert place == 134
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(tags) + bytes(4)
    return head + bytes(146 - place) + struct.pack("<3H", bits, bits, bits) + bytes(24 * bits)


def encoded(form: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(COLOURS).save(file, form, **options)
    return file.getvalue()


def patched(content: bytes, mark: bytes, place: int, mask: int) -> bytes:
    changed = bytearray(content)
    changed[content.index(mark) + place] |= mask
    return bytes(changed)


DEEP = {
    "rgb.png": png(16, 2),
    "rgba.png": png(16, 6),
    "la.png": png(16, 4),
    "l.png": png(16, 0),
    "rgb.tiff": tiff(16),
    "65535.ppm": b"P6 8 8 65535 " + bytes(384),
    "1023.ppm": b"P6 8 8 1023 " + bytes(384),
    "rgb.sgi": encoded("sgi", bpc=2),
}
PLAIN = {
    "rgb.png": png(8, 2),
    "l.png": png(8, 0),
    "rgb.tiff": tiff(8),
    "255.ppm": b"P6 8 8 255 " + bytes(192),
    "15.ppm": b"P6 8 8 15 " + bytes(192),
    "rgb.sgi": encoded("sgi"),
    "rgb.jp2": encoded("jpeg2000"),
    "rgb.avif": encoded("avif"),
    "rgb.webp": encoded("webp"),
    "rgb.jpg": encoded("jpeg"),
    "555.bmp": b"BM"
    + struct.pack("<IIIIiiHHIIIIII", 182, 0, 54, 40, 8, 8, 1, 16, *[0] * 6)
    + bytes(128),
}


def opened(path: Path, *, loaded: bool) -> Image.Image:
    """A file as data sets open it, or as the command line does."""
    return open_image(path) if loaded else Image.open(path)


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("name", DEEP)
def test_more_than_8_bits_per_channel_are_not_cut_off(
    tmp_path: Path, name: str, loaded: bool
) -> None:
    path = tmp_path / name
    path.write_bytes(DEEP[name])
    message = rf"^Expected an image of 8 bits per channel, got one of .* in {path}; scale"
    with pytest.raises(ImageError, match=message):
        convert(opened(path, loaded=loaded), "RGB")
    with pytest.raises(ImageError, match=message):
        LabelledFiles([str(path)], torch.tensor([0])).pixels(0, (3, 8, 8), 8)


def test_headers_that_pillow_does_not_tell_are_read(tmp_path: Path) -> None:
    siz, path = b"\xff\x4f\xff\x51", tmp_path / "x"
    for content, mark, place, mask, bits in (
        (encoded("avif"), b"av1C", 6, 0x40, 10),
        (encoded("jpeg2000"), siz, 42, 8, 16),
    ):
        path.write_bytes(content)
        assert _declared_bits(str(path)) == 8
        path.write_bytes(patched(content, mark, place, mask))
        assert _declared_bits(str(path)) == bits
    with pytest.raises(ImageError, match=f"got one of 16 bits in {path}; "):
        convert(Image.open(path), "RGB")


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("name", PLAIN)
def test_files_of_8_bits_per_channel_are_read_in_silence(
    tmp_path: Path, name: str, loaded: bool
) -> None:
    path = tmp_path / name
    path.write_bytes(PLAIN[name])
    assert convert(opened(path, loaded=loaded), "RGB").size == (8, 8)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "RGBa"])
def test_transparent_pixels_are_refused(mode: str) -> None:
    image = Image.fromarray(COLOURS).convert("RGBA")
    image.putpixel((3, 4), (9, 9, 9, 254))
    for wanted in ("RGB", "L"):
        with pytest.raises(ImageError, match=r"^Expected an opaque image, got transparent pixels;"):
            convert(image.convert(mode), wanted)


def test_a_transparent_colour_is_refused_where_it_is_used(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    for image in (
        Image.fromarray(COLOURS).quantize(16),
        Image.fromarray(COLOURS),
        Image.fromarray(COLOURS[..., 0]),
    ):
        image.save(path, transparency=image.getpixel((2, 2)))
        with pytest.raises(ImageError, match=f"got transparent pixels in {path}; "):
            convert(Image.open(path), "RGB")
    unused = Image.fromarray(COLOURS).quantize(16)
    unused.save(tmp_path / "unused.png", transparency=200)
    expected = unused.convert("RGB")
    assert convert(Image.open(tmp_path / "unused.png"), "RGB").tobytes() == expected.tobytes()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa"])
def test_an_opaque_alpha_channel_changes_nothing(mode: str) -> None:
    grey = Image.fromarray(COLOURS[..., 0])
    image = grey.convert("LA" if mode == "LA" else "RGBA" if mode != "PA" else "PA").convert(mode)
    assert convert(image, "L").tobytes() == grey.tobytes()


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("form", ["gif", "png", "webp", "tiff", "avif"])
def test_one_frame_of_several_does_not_vote(tmp_path: Path, form: str, loaded: bool) -> None:
    frames, path = [Image.fromarray(COLOURS), Image.new("RGB", (8, 8), "red")], tmp_path / "many"
    frames[0].save(path, form, save_all=True, append_images=frames[1:])
    image = opened(path, loaded=loaded)
    with pytest.raises(ImageError, match=f"^Expected one picture, got 2 frames in {path}; "):
        convert(image, "RGB")
    image = Image.open(path)
    image.seek(1)
    assert np.asarray(convert(image.copy(), "RGB"))[4, 4, 0] > 250


def test_a_photograph_with_a_preview_is_one_picture(tmp_path: Path) -> None:
    preview = Image.new("RGB", (8, 8))
    Image.fromarray(COLOURS).save(tmp_path / "x.jpg", "mpo", save_all=True, append_images=[preview])
    image = Image.open(tmp_path / "x.jpg")
    assert isinstance(image, MpoImageFile)
    assert image.n_frames == 2
    assert convert(image, "RGB").size == (8, 8)


def test_other_colours_are_named(tmp_path: Path) -> None:
    image, path = Image.fromarray(COLOURS), tmp_path / "x"
    contents = {
        "colours in RGB, got CMYK": ("jpeg", image.convert("CMYK"), {}),
        "colours in sRGB, got another profile": ("png", image, {"icc_profile": SWAPPED}),
    }
    for message, (form, picture, options) in contents.items():
        picture.save(path, form, **options)
        with pytest.warns(ImageWarning, match=f"^Expected {message} in {path}; "):
            convert(Image.open(path), "RGB")
    path.write_bytes(png(8, 2, (b"gAMA", struct.pack(">I", 100_000))))
    with pytest.warns(ImageWarning, match=f"^Expected colours in sRGB, got gamma 1 in {path}; "):
        convert(Image.open(path), "RGB")


@pytest.mark.parametrize("profile", [SRGB, SWAPPED[:200], b"no profile", b""])
def test_sRGB_and_a_profile_that_viewers_ignore_are_silent(tmp_path: Path, profile: bytes) -> None:
    for image in (Image.fromarray(COLOURS), Image.fromarray(COLOURS[..., 0])):
        image.info["icc_profile"] = profile
        assert convert(image, "RGB").tobytes() == image.convert("RGB").tobytes()
    (tmp_path / "x").write_bytes(png(8, 2, (b"gAMA", struct.pack(">I", 45455))))
    convert(Image.open(tmp_path / "x"), "RGB")
    (tmp_path / "x").write_bytes(png(8, 2, (b"gAMA", struct.pack(">I", 100_000)), (b"sRGB", b"\0")))
    convert(Image.open(tmp_path / "x"), "RGB")


def test_a_colour_image_in_grey_is_said_and_a_grey_one_is_silent(tmp_path: Path) -> None:
    grey = Image.fromarray(COLOURS[..., 0])
    for mode in ("L", "RGB", "P", "LA", "RGBA"):
        assert convert(grey.convert(mode), "L").tobytes() == grey.tobytes()
    assert convert(grey.convert("1"), "L").tobytes() == grey.convert("1").convert("L").tobytes()
    for image in (Image.fromarray(COLOURS), Image.fromarray(COLOURS).quantize(16)):
        image.save(tmp_path / "x.png")
        files = LabelledFiles([str(tmp_path / "x.png")], torch.tensor([0]))
        message = f"^Expected a grey image, got one in colour in {tmp_path}/x.png; "
        with pytest.warns(ImageWarning, match=message):
            pixels = files.pixels(0, (1, 8, 8), 8)
        with pytest.warns(ImageWarning, match=message):
            x = image_transform((1, 8, 8), 8)(Image.open(tmp_path / "x.png"))
        assert torch.equal(pixels, x.mul(255).round().byte())


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("form", ["jpeg", "png", "tiff"])
def test_a_file_that_is_cut_off_is_refused_whatever_pillow_tolerates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, loaded: bool
) -> None:
    Image.effect_noise((96, 96), 50).convert("RGB").save(tmp_path / "x", form)
    content = (tmp_path / "x").read_bytes()
    (tmp_path / "whole").write_bytes(content)
    (tmp_path / "x").write_bytes(content[: len(content) // 2 + 200])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    image = Image.open(tmp_path / "x")
    if loaded:
        image.load()
    with pytest.raises(OSError, match=r"trunc|cut|decoder|not processed"):
        convert(image, "RGB")
    assert convert(opened(tmp_path / "whole", loaded=loaded), "RGB").size == (96, 96)
    assert ImageFile.LOAD_TRUNCATED_IMAGES
    with pytest.raises(ValueError, match=f"Expected an image in {tmp_path}/x, got this fault"):
        LabelledFiles([str(tmp_path / "x")], torch.tensor([0])).image(0)


def test_threads_that_convert_leave_what_pillow_tolerates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            for _ in range(40):
                list(pool.map(lambda _: convert(Image.new("RGB", (64, 64)), "RGB"), range(32)))
                assert ImageFile.LOAD_TRUNCATED_IMAGES
    finally:
        sys.setswitchinterval(interval)
