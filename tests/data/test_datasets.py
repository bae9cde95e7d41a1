import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rszoo.data.datasets import (
    CIFAR10,
    DATASETS,
    Dataset,
    get_dataset,
    image_chunks,
    list_files,
    load_images,
    open_images,
)
from rszoo.data.images import image_transform

TOML = """
classes = ["a", "b"]
shape = [3, 8, 8]
mean = [0.5, 0.5, 0.5]
std = [0.2, 0.2, 0.2]
resize = 8
"""


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda d: d.name)
def test_every_data_set_is_consistent(dataset: Dataset) -> None:
    assert DATASETS[dataset.name] is dataset
    assert len(set(dataset.classes)) == dataset.num_classes
    assert len(dataset.mean) == len(dataset.std) == dataset.shape[0]
    assert dataset.resize >= dataset.shape[1]


@pytest.mark.parametrize("dataset", DATASETS)
def test_missing_data_says_where_it_was_sought(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSZOO_DATA", str(tmp_path))
    with pytest.raises(
        FileNotFoundError,
        match=f"Expected a complete {dataset} in {tmp_path}, got none; set RSZOO_DATA",
    ):
        next(image_chunks(dataset, "train"))


@pytest.mark.slow
def test_the_real_cifar10_has_the_known_statistics(cifar10: Path) -> None:
    images, labels = load_images("cifar10", "test")
    assert images.shape == (10_000, 3, 32, 32)
    assert torch.bincount(labels).tolist() == [1000] * 10
    assert [CIFAR10.split()[label] for label in labels[:4]] == ["cat", "ship", "ship", "airplane"]
    train, _ = load_images("cifar10", "train")
    channels = [channel.float() / 255 for channel in train.unbind(1)]
    assert [float(channel.mean()) for channel in channels] == pytest.approx(
        DATASETS["cifar10"].mean, abs=2e-4
    )
    assert [float(channel.std()) for channel in channels] == pytest.approx(
        DATASETS["cifar10"].std, abs=2e-4
    )


def test_damaged_cifar10_is_refused(
    cifar10: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for path in (cifar10 / "cifar-10-batches-py").iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "test_batch").unlink()
    (folder / "test_batch").write_bytes(b"cut off")
    monkeypatch.setenv("RSZOO_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="Expected a complete cifar10 in"):
        load_images("cifar10", "test")


def test_a_described_folder_is_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSZOO_DATA", str(tmp_path))
    (tmp_path / "pets.toml").write_text(TOML)
    for place, colour in (
        ("train/a/1.png", 10),
        ("train/b/1.png", 200),
        ("test/a/1.png", 30),
        ("test/b/1.png", 40),
    ):
        (tmp_path / "pets" / place).parent.mkdir(parents=True)
        Image.new("RGB", (16, 8), (colour, 0, 255)).save(tmp_path / "pets" / place)
    images, labels = load_images("pets", "train")
    assert images.shape == (2, 3, 8, 8)
    assert images[:, 0, 0, 0].tolist() == [10, 200]
    assert labels.tolist() == [0, 1]
    assert get_dataset("pets").num_classes == 2


@pytest.mark.parametrize(
    ("text", "message"), [("", "missing"), (TOML + "x = 1", "unknown field"), ("=", "fault")]
)
def test_a_bad_description_is_named(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSZOO_DATA", str(tmp_path))
    (tmp_path / "pets.toml").write_text(text)
    with pytest.raises(ValueError, match=f"pets.toml.*{message}"):
        get_dataset("pets")


def test_an_unknown_data_set_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"Unknown data set 'cifar11'; use one of cifar10, cifar100"
    ):
        get_dataset("cifar11")


@pytest.mark.filterwarnings("ignore::rszoo.data.images.ImageWarning")
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK", "1"])
def test_any_image_becomes_a_tensor_of_the_shape(mode: str) -> None:
    x = image_transform((3, 32, 32), 32)(Image.new("RGB", (50, 40)).convert(mode))
    assert x.shape == (3, 32, 32)
    assert x.min() >= 0
    assert x.max() <= 1
    grey = Image.new("RGB", (30, 90)).convert(mode)
    assert image_transform((1, 28, 28), 28)(grey).shape == (1, 28, 28)


def test_the_transform_keeps_a_picture_upright_and_centred(tmp_path: Path) -> None:
    image = Image.new("RGB", (64, 32), "black")
    image.paste((255, 0, 0), (16, 0, 48, 32))
    assert image_transform((3, 32, 32), 32)(image)[0].min() == 1
    image.paste((0, 0, 255), (16, 0, 32, 32))
    turned = image.transpose(Image.Transpose.ROTATE_90)
    exif = turned.getexif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    turned.save(tmp_path / "turned.png", exif=exif)
    upright = image_transform((3, 32, 32), 32)(Image.open(tmp_path / "turned.png"))
    assert torch.equal(upright, image_transform((3, 32, 32), 32)(image))


@pytest.mark.filterwarnings("ignore::rszoo.data.images.ImageWarning")
@pytest.mark.parametrize(("shape", "resize"), [((3, 16, 24), 24), ((1, 16, 16), 20)])
def test_the_transform_can_be_pickled(shape: tuple[int, int, int], resize: int) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8))
    transform = image_transform(shape, resize)
    assert torch.equal(pickle.loads(pickle.dumps(transform))(image), transform(image))


@pytest.mark.parametrize(
    ("image", "kind"), [(np.zeros((8, 8, 3), np.uint8), "ndarray"), ("cat.png", "str")]
)
def test_anything_but_an_image_is_named(image: Any, kind: str) -> None:
    with pytest.raises(
        ValueError, match=rf"Expected a PIL image, got {kind}; pass Image.open\(path\)"
    ):
        image_transform((3, 8, 8), 8)(image)


def test_imagenet_is_read_file_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSZOO_DATA", str(tmp_path))
    for number, wnid in enumerate(("n01440764", "n01443537")):
        (tmp_path / "imagenet" / "val" / wnid).mkdir(parents=True)
        for index in range(3):
            image = Image.new("L", (400, 300), 100 * number + index)
            image.save(tmp_path / "imagenet" / "val" / wnid / f"{index}.png")
    with pytest.raises(ValueError, match=r"Expected 1000 folders, one per class, in .*, got 2; "):
        list_files("imagenet", "test")
    for number in range(998):
        (tmp_path / "imagenet" / "val" / f"n9{number:07}").mkdir()
        (tmp_path / "imagenet" / "val" / f"n9{number:07}" / "0.png").hardlink_to(
            tmp_path / "imagenet" / "val" / "n01440764" / "0.png"
        )
    files = list_files("imagenet", "test")
    assert files.labels.tolist()[:6] == [0, 0, 0, 1, 1, 1]
    assert files.image(4).getpixel((0, 0)) == (101, 101, 101)
    chunks = list(image_chunks("imagenet", "test", limit=3, size=2))
    assert [images.shape[0] for images, _ in chunks] == [2, 2]
    assert chunks[0][0].shape == (2, 3, 224, 224)
    Path(files.paths[4]).write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"Expected an image in .*1.png, got this fault: "):
        files.image(4)
    with pytest.raises(ValueError, match="got 'imagenet'; read it with list_files"):
        load_images("imagenet", "test")
    with pytest.raises(ValueError, match="got 'cifar10'; read it with load_images"):
        list_files("cifar10", "test")
    assert get_dataset("imagenet").classes[1] == "goldfish"


FOLDER = """
classes = [CLASSES]
shape = [3, 8, 8]
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
resize = 8
streamed = STREAMED
"""


@pytest.mark.parametrize("streamed", ["true", "false"])
@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ('"cat", "emu"', None),
        ('"Felis catus", "Dromaius"', None),
        ('"emu", "cat"', "in the order of their sorted folders, cat, emu, got emu, cat"),
        ('"cat"', "Expected 1 folders, one per class, in .*, got 2"),
        ('"cat", "emu", "owl"', "Expected 3 folders, one per class, in .*, got 2"),
    ],
)
def test_the_classes_of_a_folder_are_those_of_its_description(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    classes: str,
    message: str | None,
    streamed: str,
) -> None:
    monkeypatch.setenv("RSZOO_DATA", str(tmp_path))
    (tmp_path / "pets.toml").write_text(
        FOLDER.replace("CLASSES", classes).replace("STREAMED", streamed)
    )
    for name in ("cat", "emu"):
        (tmp_path / "pets" / "test" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "pets" / "test" / name / "0.png")
    if message is None:
        assert open_images("pets", "test").labels.tolist() == [0, 1]
        return
    with pytest.raises(ValueError, match=message):
        open_images("pets", "test")


@pytest.mark.parametrize("content", [b"", b"garbage that is no archive"])
def test_damaged_files_of_mnist_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setenv("RSZOO_DATA", str(tmp_path))
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / "MNIST" / "raw" / f"{part}-ubyte").write_bytes(content)
    with pytest.raises(
        FileNotFoundError,
        match=r"Expected a complete mnist in .*, got none; set RSZOO_DATA .*--download",
    ):
        load_images("mnist", "test")


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_an_image_of_more_than_8_bits_is_not_cut_off(mode: str) -> None:
    with pytest.raises(
        ValueError, match=f"Expected an image of 8 bits per channel, got one of mode '{mode}'"
    ):
        image_transform((3, 8, 8), 8)(Image.new(mode, (8, 8)))
