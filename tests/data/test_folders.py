import re
from pathlib import Path

import pytest
from PIL import Image

from rszoo.data.datasets import Split, get_dataset, list_files, load_images, open_images

TOML = """
classes = ["cat", "emu"]
shape = [3, 32, 32]
mean = [0.5, 0.5, 0.5]
std = [0.2, 0.2, 0.2]
resize = 32
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the data sets."""
    monkeypatch.setenv("RSZOO_DATA", str(tmp_path))
    return tmp_path


def describe(root: Path, old: str = "", new: str = "") -> None:
    assert old in TOML
    (root / "pets.toml").write_text(TOML.replace(old, new, 1))


def fill(root: Path, split: str, *folders: str, name: str = "pets") -> None:
    for folder in folders:
        (root / name / split / folder).mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(root / name / split / folder / "0.png")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "[3, 32, 32]",
            "[32, 32, 3]",
            "shape = [1 or 3 channels, height, width] in PATH, got [32, 32, 3]; ",
        ),
        (
            "[3, 32, 32]",
            "[2, 32, 32]",
            "shape = [1 or 3 channels, height, width] in PATH, got [2, 32, 32]; ",
        ),
        (
            "[3, 32, 32]",
            "[3, 0, 32]",
            "shape = [1 or 3 channels, height, width] in PATH, got [3, 0, 32]; ",
        ),
        (
            "[3, 32, 32]",
            "[3, 32, -1]",
            "shape = [1 or 3 channels, height, width] in PATH, got [3, 32, -1]; ",
        ),
        (
            "[0.5, 0.5, 0.5]",
            "[125.3, 0.5, 0.5]",
            "mean = [3 numbers from 0 to 1] in PATH, got [125.3, 0.5, 0.5]; ",
        ),
        (
            "[0.5, 0.5, 0.5]",
            "[nan, 0.5, 0.5]",
            "mean = [3 numbers from 0 to 1] in PATH, got [nan, 0.5, 0.5]; ",
        ),
        (
            "[0.5, 0.5, 0.5]",
            "[-0.1, 0.5, 0.5]",
            "mean = [3 numbers from 0 to 1] in PATH, got [-0.1, 0.5, 0.5]; ",
        ),
        ("[0.5, 0.5, 0.5]", "[0.5]", "mean = [3 numbers from 0 to 1] in PATH, got [0.5]; "),
        (
            "[0.2, 0.2, 0.2]",
            "[0.2, 0, 0.2]",
            "std = [3 finite numbers above 0] in PATH, got [0.2, 0.0, 0.2]; ",
        ),
        (
            "[0.2, 0.2, 0.2]",
            "[inf, 0.2, 0.2]",
            "std = [3 finite numbers above 0] in PATH, got [inf, 0.2, 0.2]; ",
        ),
        (
            "[0.2, 0.2, 0.2]",
            "[nan, 0.2, 0.2]",
            "std = [3 finite numbers above 0] in PATH, got [nan, 0.2, 0.2]; ",
        ),
        (
            "[0.2, 0.2, 0.2]",
            "[0.2, 0.2]",
            "std = [3 finite numbers above 0] in PATH, got [0.2, 0.2]; ",
        ),
        ('"emu"', '"cat"', "classes of different names in PATH, got ['cat']; "),
        ('"cat", "emu"', "", "classes in PATH, got []; "),
        (
            "resize = 32",
            "resize = 16",
            "resize of at least 32, for a crop of 32 x 32 in PATH, got 16; ",
        ),
        (
            "resize = 32",
            "resize = 0",
            "resize of at least 32, for a crop of 32 x 32 in PATH, got 0; ",
        ),
    ],
)
def test_an_impossible_description_is_refused(root: Path, old: str, new: str, message: str) -> None:
    describe(root, old, new)
    with pytest.raises(
        ValueError, match=f"^Expected {re.escape(message.replace('PATH', str(root / 'pets.toml')))}"
    ):
        get_dataset("pets")


def test_a_wide_crop_needs_only_its_shorter_side(root: Path) -> None:
    describe(root, "[3, 32, 32]", "[3, 32, 48]")
    fill(root, "test", "cat", "emu")
    for name in ("cat", "emu"):
        Image.new("RGB", (96, 64), "white").save(root / "pets" / "test" / name / "0.png")
    images, _ = load_images("pets", "test")
    assert images.shape == (2, 3, 32, 48)
    assert images.min() == 255


@pytest.mark.parametrize(
    ("folders", "classes", "label"),
    [
        ("car zz_airplane", '"airplane", "car"', "'airplane' would label PATH/car"),
        ("bird zebra", '"bird", "cat"', "'cat' would label PATH/zebra"),
        ("airplane cat", '"Cat", "Airplane"', "'Cat' would label PATH/airplane"),
        ("A a", '"a", "A"', "'a' would label PATH/A"),
        ("ankle_boot bag", '"Ankle boot", "Bag"', None),
        ("A a", '"A", "a"', None),
        ("n01440764 n01443537", '"tench", "goldfish"', None),
    ],
)
def test_no_class_is_another_ones_folder(
    root: Path, folders: str, classes: str, label: str | None
) -> None:
    describe(root, '"cat", "emu"', classes)
    fill(root, "test", *folders.split())
    if label is None:
        assert open_images("pets", "test").labels.tolist() == [0, 1]
        return
    label = label.replace("PATH", f"{root}/pets/test")
    with pytest.raises(
        ValueError,
        match=f"Expected the classes of pets in the order of their sorted folders, .* {label};",
    ):
        open_images("pets", "test")


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_splits_have_the_same_folders(root: Path, split: Split) -> None:
    describe(root, '"cat", "emu"', '"Felis", "Dromaius"')
    fill(root, "train", "cat", "owl")
    fill(root, "test", "cat", "emu")
    places = f"{root}/pets/train and {root}/pets/test"
    with pytest.raises(
        ValueError,
        match=f"Expected the same folders in {places}, got 'owl' in {root}/pets/train only; ",
    ):
        load_images("pets", split)


def test_the_train_folder_may_be_absent_for_a_test_only(root: Path) -> None:
    describe(root)
    fill(root, "test", "cat", "emu")
    assert load_images("pets", "test")[1].tolist() == [0, 1]
    with pytest.raises(FileNotFoundError, match=rf"or add the missing folder {root}/pets/train\.$"):
        load_images("pets", "train")


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("streamed", [True, False])
def test_a_missing_test_folder_is_named_before_the_training(
    root: Path, split: Split, streamed: bool
) -> None:
    describe(root, "resize", f"streamed = {str(streamed).lower()}\nresize")
    fill(root, "train", "cat", "emu")
    message = f"Expected a complete pets in {root}, got none; .*, or add the missing folder "
    with pytest.raises(FileNotFoundError, match=rf"{message}{root}/pets/test\.$"):
        open_images("pets", split)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_class_without_images_is_named(root: Path, split: Split) -> None:
    describe(root)
    fill(root, "train", "cat", "emu")
    fill(root, "test", "cat", "emu")
    path = root / "pets" / "test" / "emu" / "0.png"
    path.rename(path.with_suffix(".gif"))
    with pytest.raises(
        FileNotFoundError,
        match=rf"^Expected images in {path.parent}, got no file of \.jpg, .*; add some\.$",
    ):
        load_images("pets", split)


def test_a_missing_folder_of_imagenet_is_named(root: Path) -> None:
    fill(root, "train", "n01440764", name="imagenet")
    with pytest.raises(FileNotFoundError, match=f"or add the missing folder {root}/imagenet/val"):
        list_files("imagenet", "test")
