"""What each verb prints, on a stand-in entry."""

import inspect
import json
import keyword
import pkgutil
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import Complaint
from PIL import Image
from support.commands import run
from torch import Tensor, nn

import rszoo
import rszoo.cli
from rszoo.architectures import NormalizedNetwork
from rszoo.bounds import BOUNDS
from rszoo.cli import VERBS
from rszoo.cli.output import round_up
from rszoo.data.images import image_transform
from rszoo.logs.format import round_down
from rszoo.recipe import load_recipe, parse_recipe, recipe_names
from rszoo.zoo.config import read_config, sha256
from rszoo.zoo.registry import bundled_folder

SHARED = {
    *(
        "__main__",
        "evidence",
        "examples",
        "images",
        "names",
        "options",
        "output",
        "reporting",
        "running",
    ),
    *("reporting", "running", "timing", "together"),
}
NAME = "cifar10-resnet20-gaussian-s0.25"
FOLDER = bundled_folder(NAME)
BANNER = """
import sys
sys.argv[1:] = {args!r}
import rszoo.cli
try: rszoo.cli.main()
except SystemExit: pass
"""


def gradient(folder: Path) -> Path:
    path = (
        folder
        / "a [red] picture with quite a long name, so that a narrow table would cut it off.png"
    )
    Image.linear_gradient("L").convert("RGB").save(path)
    return path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return gradient(tmp_path)


def test_every_module_is_a_verb_and_every_verb_has_help() -> None:
    named = {f"{verb}_" if keyword.iskeyword(verb) else verb for verb in VERBS}
    assert {module.name for module in pkgutil.iter_modules(rszoo.cli.__path__)} == named | SHARED
    listed = run("--help").output
    for verb, function in VERBS.items():
        assert function.__doc__
        assert verb in listed
        assert function.__doc__[:40] in " ".join(run(verb, "--help").output.split())


@pytest.mark.parametrize("verb", ["predict", "certify"])
def test_the_defaults_are_those_of_the_classifier(verb: str) -> None:
    own = inspect.signature(VERBS[verb]).parameters
    theirs = inspect.signature(getattr(rszoo.SmoothedClassifier, verb)).parameters
    assert set(theirs) - {"self", "x", "keys"} <= set(own)
    assert all(
        own[name].default == theirs[name].default for name in set(theirs) - {"self", "x", "keys"}
    )


def test_help_names_every_bound() -> None:
    text = run("certify", "--help").output
    assert all(bound in text for bound in BOUNDS)


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["--version"],
        ["list"],
        ["list", "--all"],
        ["show", NAME],
        ["show", NAME, "--recipe"],
        ["show", str(FOLDER)],
        ["certify", "--help"],
    ],
)
@pytest.mark.slow
def test_answers_at_once_without_torch(args: list[str]) -> None:
    code = (
        BANNER.format(args=args)
        + "assert not {'torch', 'scipy', 'huggingface_hub'} & set(sys.modules), 'slow import'"
    )
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        after = resource.getrusage(
            resource.RUSAGE_CHILDREN
        )  # processor time: waiting for a busy machine is not ours
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.returncode == 0, done.stderr
        assert done.stdout
    assert min(seconds) < 1.0


def test_version() -> None:
    assert run("--version").output == f"rszoo {rszoo.__version__}\n"


def test_list_prints_whole_names_one_a_line() -> None:
    lines = run("list", "--all").output.splitlines()
    assert lines[0].split()[0] == "name"
    assert [line.split()[0] for line in lines[1:]] == recipe_names()
    assert "No entry matches 'nothing-*'" in run("list", "nothing-*").output


def test_list_json_says_where_the_weights_are() -> None:
    rows = json.loads(run("list", "--json").output)
    assert [row["name"] for row in rows] == rszoo.list_models()
    every = {row["name"]: row for row in json.loads(run("list", "--all", "--json").output)}
    assert set(every) == set(recipe_names()) | set(rszoo.list_models())
    assert every[NAME]["sigma"] == 0.25
    assert all(
        (row["weights"] == "none") == (name not in rszoo.list_models())
        for name, row in every.items()
    )


def test_show_says_what_the_sources_say() -> None:
    text = run("show", NAME).output
    recipe = load_recipe(NAME)
    for fact in (
        recipe.about.summary,
        recipe.about.paper,
        recipe.about.license,
        recipe.fingerprint,
        "0.25",
        "bfloat16",
    ):
        assert fact in text
    shown = json.loads(run("show", NAME, "--json").output)
    assert shown["recipe"]["model"]["sigma"] == 0.25
    if NAME in rszoo.list_models():
        assert shown["config"]["weights_sha256"] in text
        assert shown["registry"]["config_sha256"] in text
        assert "airplane, automobile" in text


def test_show_prints_the_complete_recipe(entry: Path, complaint: Complaint) -> None:
    text = run("show", NAME, "--recipe").output
    assert parse_recipe(text, "shown") == load_recipe(NAME)
    assert "sigma = 0.25" in text
    (entry / "recipe.toml").write_text(text)
    assert run("show", entry, "--recipe").output == text
    (entry / "recipe.toml").unlink()
    assert "Expected a recipe's name or a .toml file, got" in complaint("show", entry, "--recipe")


def test_show_of_a_folder_says_what_its_config_says(
    entry: Path, monkeypatch: pytest.MonkeyPatch, complaint: Complaint
) -> None:
    config = read_config(entry)
    monkeypatch.chdir(entry.parent)
    names = ("entry", "./entry", "local-dir:entry", f"{entry}/")
    texts = {run("show", name).output.replace(f"{entry}", "entry") for name in names}
    (text,) = {" ".join(each.split()) for each in texts}
    for fact in (
        config.name,
        config.license,
        "sigma 0.25",
        "bfloat16",
        config.weights_sha256,
        sha256(entry / "config.json"),
    ):
        assert fact in text
    shown = json.loads(run("show", "entry", "--json").output)
    assert (shown["name"], shown["weights"], shown["registry"], shown["recipe"]) == (
        config.name,
        "folder",
        None,
        None,
    )
    assert shown["config"]["weights_sha256"] == config.weights_sha256
    (entry / "model.safetensors").unlink()
    assert "missing: entry" in run("show", "entry").output
    Path(NAME).mkdir()
    assert run("show", NAME).output.split()[0] == NAME
    assert "got 'nowhere'; check the path" in complaint("show", "local-dir:nowhere")
    assert "Unknown model 'hf-hub:org/repo'" in complaint("show", "hf-hub:org/repo")


def test_certify_prints_what_the_classifier_returns(entry: Path, image: Path) -> None:
    arguments = (
        "certify",
        f"local-dir:{entry}",
        image,
        "--n",
        300,
        "--n0",
        10,
        "--seed",
        7,
        "--bound",
        "joint",
    )
    row = json.loads(run(*arguments, "--json").output)[0]
    classifier = rszoo.load(f"local-dir:{entry}")
    expected = classifier.certify(
        classifier.transform(Image.open(image)), n=300, n0=10, seed=7, bound="joint"
    )
    assert isinstance(expected, rszoo.Certificate)
    assert row["counts"] == list(expected.counts)
    assert (row["values"], row["implied_linf"]) == (3072, expected.implied_linf)
    assert 0 <= row["implied_linf"] * 3072**0.5 <= row["radius"]
    assert (row["radius"], row["p_lower"], row["bound"], row["seed"]) == (
        expected.radius,
        expected.p_lower,
        "joint",
        7,
    )
    assert row["class"] == (None if expected.abstained else classifier.classes[expected.label])
    lines = run(*arguments).stdout.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith(str(image))
    label = row["class"] or "abstain"
    radius = round_down(expected.radius, 3) if row["class"] else "-"
    assert lines[1].removeprefix(str(image)).split()[:4] == [
        label,
        radius,
        round_down(expected.p_lower, 4),
        "300",
    ]


def test_certify_says_that_a_radius_is_of_the_resized_image(
    entry: Path, image: Path, tmp_path: Path
) -> None:
    exact = tmp_path / "exact.png"
    Image.new("RGB", (32, 32), (200, 30, 30)).save(exact)
    arguments = ("certify", f"local-dir:{entry}", exact, image, "--n", 100)
    assert (
        "rszoo: 1 of 2 images were resized or cropped to 32 x 32 pixels; a radius is a distance"
        in run(*arguments).stderr
    )
    assert [row["resized"] for row in json.loads(run(*arguments, "--json").stdout)] == [False, True]


def test_predict_prints_a_line_an_image(entry: Path, image: Path, tmp_path: Path) -> None:
    other = tmp_path / "grey.jpg"
    Image.new("L", (50, 40), 128).save(other)
    arguments = ("predict", f"local-dir:{entry}", image, other, "--n", 200, "--batch-size", 64)
    rows = json.loads(run(*arguments, "--json").output)
    assert [row["image"] for row in rows] == [str(image), str(other)]
    assert all(sum(row["counts"]) == 200 and row["seconds"] > 0 for row in rows)
    lines = run(*arguments).stdout.splitlines()
    assert lines[0].split() == ["image", "label", "p_value", "n", "time"]
    assert all(
        (row["class"] or "abstain") in line for row, line in zip(rows, lines[1:], strict=True)
    )


def test_import_prints_what_it_chose(network: NormalizedNetwork, tmp_path: Path) -> None:
    path, out = tmp_path / "checkpoint.pth", tmp_path / "out"
    torch.save({"arch": "cifar_resnet20", "state_dict": network.network.state_dict()}, path)
    command = (
        "import",
        path,
        "--dataset",
        "cifar10",
        "--sigma",
        0.5,
        "--normalization",
        "center",
        "--out",
        out,
    )
    lines = run(*command).output.splitlines()
    assert lines[0] == "Normalization: center, mean [0.4914, 0.4822, 0.4465], std [1.0, 1.0, 1.0]."
    assert "recorded as 'unknown'" in lines[1]
    assert f"the entry cifar10-resnet20-imported-s0.50; load it as 'local-dir:{out}'" in lines[2]
    assert len(run(*command[:-1], tmp_path / "other", "--license", "MIT").output.splitlines()) == 2


class Coin(nn.Module):
    """A fair coin under noise around the image x."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.register_buffer("level", x.sum())

    def forward(self, x: Tensor) -> Tensor:
        score = x.sum((1, 2, 3)) - self.get_buffer("level")
        return torch.stack([score, -score], dim=1)


def test_abstaining_is_a_value(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = image_transform((3, 32, 32), 32)(Image.open(image))
    classifier = rszoo.smooth(Coin(x), sigma=0.25, num_classes=2, input_shape=(3, 32, 32))
    monkeypatch.setattr("rszoo.zoo.loading.load", lambda name, device: classifier)
    row = json.loads(run("certify", "coin", image, "--n", 1000, "--json").output)[0]
    assert (row["class"], row["label"], row["radius"]) == (None, rszoo.ABSTAIN, 0.0)
    for verb, cell in (("certify", "-"), ("predict", "")):
        line = run(verb, "coin", image, "--n", 1000).output.splitlines()[1].removeprefix(str(image))
        assert line.split()[0] == "abstain"
        assert cell in line


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.7999999, 3, "0.799"),
        (0.5, 3, "0.500"),
        (0.99999, 4, "0.9999"),
        (0.29, 2, "0.29"),
        (0.28999999999999, 2, "0.28"),
        (0.0, 3, "0.000"),
        (2, 1, "2.0"),
    ],
)
def test_radii_are_rounded_down(value: float, digits: int, text: str) -> None:
    """A number that its text gives back is kept, though in binary it may be a little less."""
    assert round_down(value, digits) == text


def test_p_values_are_rounded_up() -> None:
    assert [round_up(value, 2) for value in (0.0411, 1.0, 0.0)] == ["0.042", "1", "0"]
    assert 1.23e-20 < float(round_up(1.23e-20, 2)) < 1.31e-20
