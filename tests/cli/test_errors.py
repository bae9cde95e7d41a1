"""A user's mistake: one sentence on stderr, exit code 2. A fault of the program: a traceback."""

import importlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import Complaint
from PIL import Image

import rszoo.cli
from rszoo.architectures import NormalizedNetwork


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.png"
    Image.linear_gradient("L").save(path)
    return path


@pytest.mark.parametrize("verb", ["certify", "predict"])
@pytest.mark.parametrize(
    "content", [b"", b"hello\n", b"\x89PNG\r\n\x1a\n", b"GIF89a", bytes(range(256)) * 40]
)
def test_a_file_that_is_no_image(
    complaint: Complaint, entry: Path, tmp_path: Path, verb: str, content: bytes
) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(content)
    assert f"got '{path}'" in complaint(verb, f"local-dir:{entry}", path)


def test_the_sentence_for_text(complaint: Complaint, entry: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("hello")
    expected = f"rszoo: Expected an image, got '{path}'; pass a PNG or JPEG file.\n"
    assert complaint("certify", f"local-dir:{entry}", path) == expected


def test_a_missing_image_and_a_folder(complaint: Complaint, entry: Path, tmp_path: Path) -> None:
    for path, words in (
        (tmp_path / "no.png", "which is no file"),
        (tmp_path, "a folder without one"),
        (tmp_path / "*.png", "a pattern without one"),
    ):
        assert f"got '{path}', {words}; check the path" in complaint(
            "certify", f"local-dir:{entry}", path
        )


@pytest.mark.parametrize("form", ["jpeg", "png", "gif", "webp", "tiff", "bmp"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_image(
    complaint: Complaint, entry: Path, tmp_path: Path, form: str, share: float
) -> None:
    whole = io.BytesIO()
    Image.effect_noise((96, 96), 50).convert("RGB").save(whole, form)
    path = tmp_path / f"cut.{form}"
    path.write_bytes(whole.getvalue()[: int(share * len(whole.getvalue()))])
    sentence = complaint("predict", f"local-dir:{entry}", path)
    assert f"got '{path}'" in sentence
    if form == "jpeg":
        assert "Expected a whole image" in sentence


@pytest.mark.filterwarnings("error")
def test_an_image_with_altered_bytes_is_read_or_refused(tmp_path: Path) -> None:
    """No exception or warning of Pillow's decoders gets past `open_image` but as a sentence."""
    from rszoo.cli.images import open_image

    for form in ("jpeg", "png", "gif", "tiff", "bmp", "webp"):
        whole = io.BytesIO()
        Image.effect_noise((24, 24), 50).convert("RGB").save(whole, form)
        path = tmp_path / "altered"
        for place in range(0, len(whole.getvalue()), 7):
            content = bytearray(whole.getvalue())
            content[place] ^= 0xFF
            path.write_bytes(bytes(content))
            try:
                open_image(path)
            except ValueError as error:
                assert f"got '{path}'" in str(error)  # noqa: PT017


def test_an_unknown_name(complaint: Complaint, image: Path) -> None:
    for args in (
        ("show", "cifar10-resnet20-gausian-s0.25"),
        ("certify", "cifar10-resnet20-gausian-s0.25", image),
        ("verify", "cifar10-resnet20-gausian-s0.25"),
    ):
        sentence = complaint(*args)
        assert "Unknown model 'cifar10-resnet20-gausian-s0.25'" in sentence
        if rszoo.list_models():
            assert "did you mean 'cifar10-resnet20-gaussian-s0.25'" in sentence
    assert "got 'imagenet'; did you mean 'imagenet-resnet50-" in complaint(
        "train", "imagenet", "--out", "x"
    )
    assert "got 'nope'; 'rszoo list --all'" in complaint("train", "nope", "--out", "x")
    assert "Expected --out DIR, got none; " in complaint("train", "cifar10-resnet20-gaussian-s0.25")
    pretrained = "cifar10-resnet110-smoothadv-pretrained-s0.25"
    assert "got none; pass their folder with --init" in complaint("train", pretrained, "--out", "x")


@pytest.mark.parametrize(
    ("option", "word", "words"),
    [
        ("--dataset", "nosuch", "got 'nosuch'; choose among cifar10, "),
        ("--dataset", "cifar11", "got 'cifar11'; did you mean 'cifar10"),
        ("--method", "cohen", "got 'cohen'; did you mean 'gaussian'? choose among adre, "),
        ("--architecture", "resnet21", "got 'resnet21'; did you mean 'resnet20"),
    ],
)
def test_a_word_that_no_entry_of_the_list_has(
    complaint: Complaint, option: str, word: str, words: str
) -> None:
    for more in ([], ["--json"], ["--all"]):
        assert f"rszoo: Expected {option} of a recipe, {words}" in complaint(
            "list", option, word, *more
        )


@pytest.mark.parametrize("repo_id", ["foo", "foo@main", "a/b/c", "/b"])
def test_a_repository_without_organisation(complaint: Complaint, image: Path, repo_id: str) -> None:
    assert "Expected a repository as organisation/name, got " in complaint(
        "certify", f"hf-hub:{repo_id}", image
    )


def test_weights_for_a_recipe_that_starts_from_none(complaint: Complaint, tmp_path: Path) -> None:
    sentence = complaint(
        "train", "cifar10-resnet20-gaussian-s0.25", "--out", tmp_path / "run", "--init", tmp_path
    )
    assert (
        "Expected no --init for cifar10-resnet20-gaussian-s0.25, "
        f"which starts from random weights, got {tmp_path}" in sentence
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--n", 9], "got n=9; all 9 votes would still give p_lower <= 1/2: use n >= 10"),
        (["--n", -5], "Expected n >= 1, got n=-5; use n >= 10"),
        (["--n", 0], "Expected n >= 1, got n=0; use n >= 10"),
        (["--n", 100, "--radius", -1], "got [-1.0]; pass finite radii >= 0."),
        (["--n", 100, "--alpha", 1.5], "1.5"),
        (["--n", 100, "--alpha", 0], "got 0"),
        (["--n", 100, "--n0", 0], "Expected n0 >= 1, got 0"),
        (["--n", 100, "--bound", "chen"], "Unknown bound 'chen'; use one of cohen"),
        (["--n", 100, "--seed", -1], "got -1"),
        (["--n", 100, "--batch-size", 0], "Expected --batch-size >= 1, got 0"),
        (["--device", "gpu"], "got 'gpu'"),
        (["--device", "cuda:99"], "CUDA devices; use --device 'cpu'."),
        (["--device", "meta"], "Expected a device of kind cpu or cuda, got 'meta'"),
    ],
)
def test_an_option_out_of_range(
    complaint: Complaint, entry: Path, image: Path, options: list[object], words: str
) -> None:
    assert words in complaint("certify", f"local-dir:{entry}", image, *options)


def test_predict_with_too_few_samples(complaint: Complaint, entry: Path, image: Path) -> None:
    assert "got n=5; use n >=" in complaint("predict", f"local-dir:{entry}", image, "--n", 5)


def test_damaged_and_missing_entries(
    complaint: Complaint, entry: Path, image: Path, tmp_path: Path
) -> None:
    (entry / "model.safetensors").write_bytes(b"cut")
    assert "cut off or altered" in complaint("certify", f"local-dir:{entry}", image)
    assert "nowhere" in complaint("certify", f"local-dir:{tmp_path / 'nowhere'}", image)


def test_the_other_verbs(complaint: Complaint, tmp_path: Path) -> None:
    assert "Expected a finished run" in complaint("bundle", tmp_path)
    assert "make the folder first" in complaint("demo", "--out", tmp_path / "no" / "demo.png")
    name = "cifar10-resnet20-gaussian-s0.25"
    assert "got 0; pass one or leave it out" in complaint(
        "train", name, "--out", tmp_path, "--time-limit", 0
    )
    (tmp_path / "file").touch()
    assert f"Expected a folder for the run, got {tmp_path / 'file'}, which is a file; " in (
        complaint("train", name, "--out", tmp_path / "file")
    )
    (tmp_path / "bad.toml").write_text("[model]\n")
    assert "bad.toml" in complaint("train", tmp_path / "bad.toml", "--out", tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--sigma", 0], "Expected a finite sigma above 0, got 0;"),
        (["--sigma", "nan"], "got nan"),
        (
            ["--normalization", "centre"],
            "Unknown normalization 'centre'; use auto, standard, center, none",
        ),
        (["--method", "My method"], "got 'My method'"),
        (["--dataset", "cifar"], "Unknown data set 'cifar'"),
        (["--dataset", "cifar100"], "Expected floats of shape (100, 64) as 'fc.weight'"),
        (
            ["--arch", "resnet110"],
            "Expected the architecture that the file names, 'cifar_resnet20', got 'resnet110'",
        ),
        (["--device", "cuda:99"], "got a machine with"),
        (["--device", "meta"], "Expected a device of kind cpu or cuda, got 'meta'"),
    ],
)
def test_import_with_a_wrong_option(
    complaint: Complaint,
    network: NormalizedNetwork,
    tmp_path: Path,
    options: list[object],
    words: str,
) -> None:
    path, out = tmp_path / "checkpoint.pth", tmp_path / "out"
    torch.save({"arch": "cifar_resnet20", "state_dict": network.network.state_dict()}, path)
    right = ["--dataset", "cifar10", "--sigma", 0.25, "--normalization", "center", "--out", out]
    assert words in complaint("import", path, *right, *options)
    assert not out.exists()


def test_import_of_what_is_no_checkpoint(complaint: Complaint, entry: Path, tmp_path: Path) -> None:
    right = ["--dataset", "cifar10", "--sigma", 0.25, "--out", tmp_path / "out"]
    (tmp_path / "text").write_text("hello")
    torch.save([1, 2], tmp_path / "list")
    torch.save({"arch": "lenet", "state_dict": {"conv1.weight": torch.ones(1)}}, tmp_path / "lenet")
    torch.save({"arch": "cifar_resnet20", "epoch": 3}, tmp_path / "empty")
    for name, words in {
        "no": "which is no file",
        "text": "Expected a file of torch.save",
        "list": "got list; pass a checkpoint",
        "empty": "got a dict of ['arch', 'epoch']",
        "lenet": "Unknown architecture 'lenet'",
    }.items():
        assert words in complaint("import", tmp_path / name, *right)
    assert not (tmp_path / "out").exists()
    assert "which holds files; choose another" in complaint(
        "import", tmp_path / "lenet", *right[:-1], entry
    )


def test_an_error_of_the_system_names_the_file(
    complaint: Complaint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(name: str) -> None:
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr(importlib.import_module("rszoo.cli.train"), "load_recipe", denied)
    assert "'x.toml', got 'Permission denied'; check" in complaint("train", "x.toml", "--out", "y")


def test_wrong_usage_has_no_traceback() -> None:
    for args in ([], ["certify"], ["show"], ["nonsense"], ["list", "--nonsense"], ["train", "x"]):
        done = subprocess.run(
            [sys.executable, "-c", "import rszoo.cli; rszoo.cli.main()", *args],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("error", "code", "traceback"), [("TypeError('x')", 1, True), ("KeyboardInterrupt", 130, False)]
)
def test_faults_keep_their_traceback_and_interrupts_are_silent(
    error: str, code: int, traceback: bool
) -> None:
    program = f"""
import rszoo.cli, rszoo.cli.list
def fail(*args): raise {error}
rszoo.cli.list.list_models = fail
rszoo.cli.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "list"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert done.returncode == code
    assert ("Traceback" in done.stderr) == traceback
    assert traceback or not done.stderr
