import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rszoo.data.datasets import digest, image_chunks, load_images, open_images
from rszoo.data.digest import digest_of

IMAGES = torch.randint(0, 256, (6, 3, 4, 5), generator=torch.Generator().manual_seed(0)).byte()
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
TOML = """
classes = ["cat", "emu"]
shape = [3, 8, 8]
mean = [0.5, 0.5, 0.5]
std = [0.2, 0.2, 0.2]
resize = 8
streamed = STREAMED
"""


def test_the_digest_is_that_of_shapes_bytes_and_labels() -> None:
    expected = b"images (6, 3, 4, 5)\n" + IMAGES.numpy().tobytes()
    expected += b"labels (6,)\n" + LABELS.numpy().astype("<i8").tobytes()
    assert digest_of(IMAGES, LABELS) == hashlib.sha256(expected).hexdigest()


def test_another_content_has_another_digest() -> None:
    flipped, swapped = IMAGES.clone(), LABELS.clone()
    flipped[3, 1, 2, 4] ^= 1
    swapped[[0, 1]] = LABELS[[1, 0]]
    order = torch.tensor([0, 1, 2, 3, 5, 4])
    pairs = [
        (IMAGES, LABELS),
        (flipped, LABELS),
        (IMAGES, swapped),
        (IMAGES[order], LABELS),
        (IMAGES[order], LABELS[order]),
        (IMAGES[:5], LABELS[:5]),
        (IMAGES.reshape(6, 3, 5, 4), LABELS),
        (IMAGES.reshape(6, 1, 12, 5), LABELS),
        (IMAGES[:0], LABELS[:0]),
    ]
    assert len({digest_of(*pair) for pair in pairs}) == len(pairs)


@pytest.mark.parametrize("kind", [torch.int16, torch.int64, torch.float32, torch.float64])
def test_another_type_or_layout_of_the_same_content_has_the_same_digest(kind: torch.dtype) -> None:
    expected = digest_of(IMAGES, LABELS)
    assert digest_of(IMAGES.to(kind), LABELS.to(kind)) == expected
    assert digest_of(IMAGES.to(memory_format=torch.channels_last), LABELS) == expected
    every_second = IMAGES.repeat_interleave(2, 0)[::2], LABELS.repeat_interleave(2)[::2]
    assert digest_of(*every_second) == expected


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES / 255, LABELS, "Expected images of whole numbers that uint8 holds, got others"),
        (IMAGES.short() - 1, LABELS, "Expected images of .* from -1 to 25"),
        (IMAGES.short() + 1, LABELS, "Expected images of .* to 25"),
        (IMAGES.float() * torch.nan, LABELS, "Expected images of whole numbers"),
        (IMAGES, LABELS + 0.5, "Expected labels of whole numbers that int64 holds, got others"),
        (IMAGES, LABELS[:5], "Expected one label per image, got 5 for 6 images; "),
    ],
)
def test_what_would_be_rounded_is_refused(
    images: torch.Tensor, labels: torch.Tensor, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        digest_of(images, labels)


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a data set of six images."""
    monkeypatch.setenv("RSZOO_DATA", str(tmp_path))
    generator = np.random.default_rng(0)
    for name in ("cat/0", "cat/1", "cat/2", "emu/0", "emu/sub/1", "emu/2"):
        path = tmp_path / "pets" / "test" / f"{name}.bmp"  # all of one size
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    return tmp_path / "pets"


def describe(pets: Path, *, streamed: bool, old: str = "", new: str = "") -> None:
    text = TOML.replace("STREAMED", str(streamed).lower()).replace(old, new)
    pets.with_suffix(".toml").write_text(text)


def test_the_digest_of_a_folder_in_memory_is_that_of_its_pixels(pets: Path) -> None:
    describe(pets, streamed=False)
    before = digest("pets", "test")
    assert before == digest_of(*load_images("pets", "test")) == open_images("pets", "test").digest()
    path = pets / "test" / "cat" / "0.bmp"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert digest("pets", "test") != before


def test_the_digest_of_a_folder_of_files_is_that_of_names_sizes_and_labels(pets: Path) -> None:
    describe(pets, streamed=True)
    before, test = digest("pets", "test"), pets / "test"
    shutil.move(pets.parent, pets.parent.with_name("elsewhere"))
    shutil.move(pets.parent.with_name("elsewhere"), pets.parent)
    assert digest("pets", "test") == before == open_images("pets", "test").digest()
    seen = {before}
    (test / "cat" / "0.bmp").rename(test / "cat" / "00.bmp")
    seen.add(digest("pets", "test"))
    (test / "cat" / "00.bmp").rename(test / "emu" / "00.bmp")
    seen.add(digest("pets", "test"))
    (test / "emu" / "00.bmp").rename(test / "cat" / "0.bmp")
    assert digest("pets", "test") == before
    with (test / "cat" / "0.bmp").open("ab") as file:
        file.write(b"x")
    seen.add(digest("pets", "test"))
    describe(pets, streamed=True, old="resize = 8", new="resize = 9")
    seen.add(digest("pets", "test"))
    assert len(seen) == 5


def test_the_digest_does_not_depend_on_where_the_folder_is(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(pets, streamed=True)
    before = digest("pets", "test")
    shutil.copytree(pets, tmp_path / "copy" / "pets")
    shutil.copy(pets.with_suffix(".toml"), tmp_path / "copy")
    monkeypatch.setenv("RSZOO_DATA", str(tmp_path / "copy"))
    assert digest("pets", "test") == before
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RSZOO_DATA", "copy")
    assert digest("pets", "test") == before


def test_the_digests_of_cifar10(cifar10: Path) -> None:
    images, labels = load_images("cifar10", "test")
    assert digest("cifar10", "test") == digest_of(images, labels)
    assert digest_of(images, labels).startswith("6c7666f63ee0955a002f081d22e6b0d2")
    assert digest("cifar10", "train").startswith("07520dfd67d67276bb95e9ad29e4217c")
    assert next(image_chunks("cifar10", "test", size=10_000))[0].equal(images)
