"""What a classifier sees of an image file: the same in data sets, in Python, and at the prompt."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rszoo.cli.images import _resized, open_image
from rszoo.data.folders import LabelledFiles
from rszoo.data.images import image_transform

COLOURS = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("form", ["jpeg", "png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_data_sets_and_the_transform_turn_an_image_alike(
    tmp_path: Path, form: str, orientation: int
) -> None:
    image = Image.fromarray(COLOURS[:4].repeat(4, 0).repeat(4, 1))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "x", form, exif=exif)
    files = LabelledFiles([str(tmp_path / "x")], torch.tensor([0]))
    turned = orientation > 4
    assert files.image(0).size == ((16, 32) if turned else (32, 16))
    shape = (3, 32, 16) if turned else (3, 16, 32)
    x = image_transform(shape, 16)(Image.open(tmp_path / "x"))
    assert torch.equal(files.pixels(0, shape, 16), x.mul(255).round().byte())
    assert np.array_equal(np.asarray(files.image(0)).transpose(2, 0, 1), x.mul(255).round())
    assert torch.equal(image_transform(shape, 16)(files.image(0)), x)


@pytest.mark.parametrize(
    ("shape", "size", "resize", "needed"),
    [
        ((3, 32, 64), (100, 100), 32, 64),
        ((3, 64, 32), (90, 60), 48, 64),
        ((1, 8, 24), (23, 8), 8, 24),
    ],
)
def test_an_image_that_does_not_cover_the_crop_is_refused(
    tmp_path: Path, shape: tuple[int, int, int], size: tuple[int, int], resize: int, needed: int
) -> None:
    path = tmp_path / "x.png"
    Image.new("L", size, 255).save(path)
    message = (
        rf"^Expected an image that covers {shape[1]} x {shape[2]} pixels \(height x width\) "
        rf"when its shorter side is scaled to {resize}, got {size[1]} x {size[0]} in {path}; "
        rf"use resize={needed}, or crop"
    )
    with pytest.raises(ValueError, match=message):
        image_transform(shape, resize)(Image.open(path))
    with pytest.raises(ValueError, match=message):
        LabelledFiles([str(path)], torch.tensor([0])).pixels(0, shape, resize)
    assert image_transform(shape, needed)(Image.open(path)).min() == 1


def test_the_command_line_sees_what_the_data_set_holds(tmp_path: Path) -> None:
    exif, path = Image.Exif(), tmp_path / "x"
    exif[0x0112] = 6
    for form, size in (("jpeg", (64, 128)), ("png", (48, 64)), ("tiff", (32, 16))):
        Image.effect_noise(size, 60).convert("RGB").save(path, form, exif=exif)
        shape = (3, 16, 32)
        x = image_transform(shape, 32)(open_image(path))
        files = LabelledFiles([str(path)], torch.tensor([0]))
        assert torch.equal(files.pixels(0, shape, 32), x.mul(255).round().byte())
        assert _resized(open_image(path), x)
        turned = (3, size[0], size[1])
        assert not _resized(open_image(path), image_transform(turned, min(size))(open_image(path)))
