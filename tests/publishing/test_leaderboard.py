"""The entries side by side, and the best of them, in a zoo with made-up logs."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from conftest import Complaint
from support.commands import run
from support.evidence_folder import entry_protocol
from support.synthetic_logs import write

import rszoo
from rszoo.errors import IntegrityError
from rszoo.logs.format import Record
from rszoo.logs.tables import Table
from rszoo.publishing.leaderboard import Filter, Standing, ordered, standings
from rszoo.recipe import load_recipe
from rszoo.zoo import registry
from rszoo.zoo.config import EntryConfig, sha256
from rszoo.zoo.registry import Entry, bundled_folder, pin

GAUSSIAN, MACER, SMOOTHMIX = (
    f"cifar10-resnet20-{method}-s0.50" for method in ("gaussian", "macer", "smoothmix")
)
LARGE, OTHER = "cifar10-resnet110-macer-s0.50", "imagenet-resnet50-gaussian-s0.50"
UNCERTAIN, WRONG = "abstains", "wrong class, at radius 0.9"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty zoo instead of the package's."""
    (tmp_path / "entries").mkdir()
    (tmp_path / "entries" / "registry.json").write_text("{}")
    monkeypatch.setattr(registry, "PACKAGE", tmp_path)
    registry._entries.cache_clear()
    yield tmp_path
    registry._entries.cache_clear()


def bundle(name: str, *, size: int = 1_100_000) -> Path:
    """The folder of an entry whose weights are of this size, pinned."""
    folder, recipe = bundled_folder(name), load_recipe(name)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(size))
    config = EntryConfig(
        name=name,
        dataset=recipe.model.dataset,
        architecture=recipe.model.architecture,
        method=recipe.method_name,
        sigma=recipe.model.sigma,
        classes=["a", "b"],
        input_shape=(3, 32, 32),
        resize=32,
        mean=[0.0],
        std=[1.0],
        precision="float32",
        noise="float",
        license="MIT",
        recipe_fingerprint=recipe.fingerprint,
        weights_sha256=sha256(folder / "model.safetensors"),
        self_test=[],
    )
    (folder / "config.json").write_bytes(msgspec.json.encode(config))
    pin(name, Entry(config_sha256=sha256(folder / "config.json")))
    return folder


def line(idx: int, result: float | str, *, path: tuple[int, ...] | None) -> Record:
    votes = {0: 1000}
    if result == UNCERTAIN:
        return Record(idx, 0, -1, False, 0.1, 0.0, 0, votes, path)
    if result == WRONG:
        return Record(idx, 1, 0, False, 0.1, 0.9, 0, votes, path)
    return Record(idx, 0, 0, True, 0.1, float(result), 0, votes, path)


def certify(folder: Path, results: Sequence[float | str], **changes: Any) -> None:
    """Write certify.tsv, or certify-grid.tsv if radii are given, with these results per image."""
    protocol = entry_protocol(folder, **{"stop": len(results), "stride": 1, "n": 1000, **changes})
    path = None if protocol.radii is None else (1000,)
    lines = [line(idx, result, path=path) for idx, result in enumerate(results)]
    write(folder / ("certify.tsv" if path is None else "certify-grid.tsv"), protocol, lines)


def listed(*args: object) -> list[str]:
    return run("list", *args).output.splitlines()


def test_the_numbers_are_those_of_the_log(package: Path) -> None:
    certify(bundle(GAUSSIAN), [0.6, 0.3, UNCERTAIN, WRONG])
    (standing,) = standings([GAUSSIAN], (0.0, 0.3, 0.5, 2.0))
    assert standing == Standing(
        name=GAUSSIAN,
        dataset="cifar10",
        architecture="resnet20",
        method="gaussian",
        sigma=0.5,
        license="MIT",
        size=1_100_000,
        radii=(0.0, 0.3, 0.5, 2.0),
        accuracies=(0.5, 0.5, 0.25, None),  # 1000 votes certify at most 1.23
        samples=(1000, 1000, 1000, None),
        average_radius=pytest.approx(0.225),  # type: ignore[arg-type]
        abstention=0.25,
        images=4,
        n=1000,
        alpha=0.001,
        logs=("certify.tsv",),
    )


def test_each_radius_is_of_the_log_that_tested_it(package: Path) -> None:
    folder = bundle(GAUSSIAN)
    certify(folder, [0.5, UNCERTAIN], radii=(0.25, 0.5), n=9000)
    (grid,) = standings([GAUSSIAN], (0.25, 0.4, 0.5))
    assert (grid.accuracies, grid.samples, grid.logs) == (
        (0.5, None, 0.5),
        (9000, None, 9000),
        ("certify-grid.tsv",),
    )
    assert (grid.average_radius, grid.n, grid.abstention, grid.images) == (None, None, None, 2)
    certify(folder, [0.4, UNCERTAIN])
    (both,) = standings([GAUSSIAN], (0.25, 0.4, 0.5))
    assert (both.accuracies, both.samples) == ((0.5, 0.5, 0.5), (9000, 1000, 9000))
    assert (both.average_radius, both.n, both.abstention) == (0.2, 1000, 0.5)
    assert both.logs == ("certify.tsv", "certify-grid.tsv")
    row = listed("--radius", "0.25,0.4,0.5")[1]
    assert row.split()[-10:] == [
        "0.500",
        "0.500",
        "0.500",
        "1000,",
        "9000",
        "0.200",
        "1000",
        "0.500",
        "2",
        "0.001",
    ]


@pytest.mark.parametrize("changes", [{"alpha": 0.01}, {"start": 1, "stop": 3}])
def test_logs_of_unlike_images_or_level_are_not_mixed(
    package: Path, changes: dict[str, Any]
) -> None:
    folder = bundle(GAUSSIAN)
    certify(folder, [0.4, UNCERTAIN])
    protocol = entry_protocol(
        folder, **{"stop": 2, "stride": 1, "n": 9000, "radii": (0.5,), **changes}
    )
    lines = [line(idx, 0.5, path=(1000,)) for idx in protocol.indices]
    write(folder / "certify-grid.tsv", protocol, lines)
    (standing,) = standings([GAUSSIAN], (0.5,))
    assert (standing.accuracies, standing.logs, standing.alpha) == ((0.0,), ("certify.tsv",), 0.001)


def test_what_is_not_known_is_none_and_a_dash(package: Path) -> None:
    bundle(GAUSSIAN)
    pin(LARGE, Entry(config_sha256="0" * 64, repo_id="org/repo", revision="abc"))
    for entry in standings([GAUSSIAN, LARGE, MACER], (0.5,)):
        assert entry.accuracies == entry.samples == (None,)
        numbers = (entry.average_radius, entry.abstention, entry.images, entry.n, entry.alpha)
        assert set(numbers) == {None}
        assert entry.logs == ()
        assert (entry.size is None) == (entry.name != GAUSSIAN)
    lines = listed("--radius", 0.5)
    assert lines[0].split()[-11:] == [
        "size",
        "licence",
        "0.5",
        "samples",
        "ACR",
        "n",
        "of",
        "ACR",
        "abstain",
        "images",
        "alpha",
    ]
    assert [row.split()[0] for row in lines[1:]] == [LARGE, GAUSSIAN]
    assert all(row.split()[-7:] == ["-"] * 7 for row in lines[1:])
    assert lines[1].split()[5:7] == ["hub", "-"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"weights_sha256": "0" * 64},
            r"^Expected weights_sha256 .*certify\.tsv.*; put an evaluation of this entry there\.$",
        ),
        ({"sigma": 0.25}, r"^Expected sigma 0\.5 in .*certify\.tsv"),
        (
            {"split": "train"},
            r"^Expected certificates of test images in .*, got train; evaluate the test split\.$",
        ),
        (
            {"stop": 3},
            r"^Expected the 3 images of its protocol in .*, "
            r"got 2 lines that are not these; finish it",
        ),
    ],
)
def test_a_log_of_something_else_is_refused(
    package: Path,
    changes: dict[str, Any],
    words: str,
    complaint: Complaint,
) -> None:
    certify(bundle(GAUSSIAN), [0.6, 0.6], **changes)
    certify(bundle(MACER), [0.5, 0.5])
    with pytest.raises(ValueError, match=words):
        standings([GAUSSIAN], (0.5,))
    with pytest.raises(ValueError, match=words):
        rszoo.best()
    assert len(listed()) == 3
    assert rszoo.best(method="macer") == MACER
    error = complaint("list", "--radius", 0.5)
    assert error.startswith("rszoo: Expected")
    assert len(error.splitlines()) == 1


def test_a_config_that_is_not_pinned_is_refused(package: Path) -> None:
    certify(bundle(GAUSSIAN), [0.6])
    pin(GAUSSIAN, Entry(config_sha256="0" * 64))
    with pytest.raises(IntegrityError, match=r"^Expected SHA-256 0000"):
        standings([GAUSSIAN], (0.5,))


def test_the_best_has_the_largest_accuracy_then_acr_then_the_first_name(package: Path) -> None:
    for name in (SMOOTHMIX, MACER, GAUSSIAN):
        certify(bundle(name), [0.6, 0.6, 0.3, UNCERTAIN])
    assert rszoo.best() == GAUSSIAN
    certify(bundled_folder(MACER), [0.6, 0.5, 0.4, UNCERTAIN])
    assert [rszoo.best(radius=radius) for radius in (0.5, 0.4, 0.6)] == [GAUSSIAN, MACER, GAUSSIAN]
    with pytest.raises(ValueError, match=r"with certificates for radius 0\.7, got none"):
        rszoo.best(radius=0.7)  # the logs tell that no image is certified there
    certify(bundled_folder(SMOOTHMIX), [0.7, 0.6, 0.1, UNCERTAIN])
    assert rszoo.best("cifar10", 0.5) != rszoo.best("cifar10", 0.65) == SMOOTHMIX
    certify(bundled_folder(SMOOTHMIX), [0.7, 0.6, 0.3, UNCERTAIN])
    assert rszoo.best("cifar10", 0.5) == SMOOTHMIX


def test_in_l_infinity_the_largest_possible_radii_come_first(package: Path) -> None:
    certify(bundle(GAUSSIAN), [0.6, 0.45, 0.3, UNCERTAIN])
    certify(bundled_folder(GAUSSIAN), [0.5, 0.25, 0.25, UNCERTAIN], radii=(0.25, 0.5))
    certify(bundle(MACER), [0.6, 0.4, 0.4, 0.4])
    (standing,) = standings([GAUSSIAN], (1 / 255, 2 / 255), norm="linf")
    assert (standing.accuracies, standing.norm) == ((0.75, 0.5), "linf")
    assert standing.logs == ("certify.tsv",)
    assert rszoo.best(radius=2 / 255, norm="linf") == GAUSSIAN
    assert rszoo.best(radius=1 / 255, norm="linf") == MACER
    rows = listed("--radius", "2/255", "--norm", "linf", "--sort")
    assert "2/255" in rows[0].split()
    assert rows[1].split()[0] == GAUSSIAN
    assert "implied by l2" in rows[-1]
    with pytest.raises(ValueError, match=r"--norm linf' prints what there is"):
        rszoo.best(radius=4 / 255, norm="linf")
    with pytest.raises(ValueError, match=r"^Expected norm 'l2' or 'linf', got 'l1'"):
        rszoo.best(norm="l1")  # type: ignore[arg-type]


def test_the_best_is_of_those_that_are_wanted_and_certified(package: Path) -> None:
    certify(bundle(LARGE, size=7_000_000), [0.6, 0.6, 0.6, UNCERTAIN])
    certify(bundle(MACER), [0.6, 0.6, UNCERTAIN, UNCERTAIN])
    certify(bundle(GAUSSIAN), [0.5, UNCERTAIN, UNCERTAIN, UNCERTAIN], radii=(0.25, 0.5))
    certify(bundle(OTHER), [0.6])
    bundle(SMOOTHMIX)
    assert rszoo.best() == LARGE
    assert rszoo.best(max_size=7.0) == LARGE
    assert rszoo.best(max_size=6.999) == rszoo.best(architecture="resnet20") == MACER
    assert rszoo.best(method="gaussian") == GAUSSIAN
    assert rszoo.best("imagenet") == OTHER
    for wanted in (
        {"method": "smoothmix"},
        {"dataset": "svhn"},
        {"method": "gaussian", "radius": 0.4},
        {"max_size": 1.0},
    ):
        with pytest.raises(
            ValueError,
            match=r"^Expected an entry of dataset .* with certificates for radius .*; "
            r"'rszoo list --radius",
        ):
            rszoo.best(**wanted)
    with pytest.raises(ValueError, match=r"^Expected a radius >= 0, got -1; "):
        rszoo.best(radius=-1)
    with pytest.raises(ValueError, match=r"^Expected a radius to be a number, got '0\.5'; "):
        rszoo.best(radius="0.5")  # type: ignore[arg-type]


def test_the_list_is_ordered(package: Path) -> None:
    certify(bundle(GAUSSIAN, size=3000), [0.3, 0.3])
    certify(bundle(MACER, size=1000), [0.9, UNCERTAIN])
    bundle("cifar10-resnet20-adre-s0.25", size=2000)
    adre = "cifar10-resnet20-adre-s0.25"
    orders = {
        "name": [adre, GAUSSIAN, MACER],
        "sigma": [adre, GAUSSIAN, MACER],
        "size": [MACER, adre, GAUSSIAN],
        "acr": [MACER, GAUSSIAN, adre],
        "0.3": [GAUSSIAN, MACER, adre],
        "0.5": [MACER, GAUSSIAN, adre],
        "2": [MACER, GAUSSIAN, adre],
    }
    for by, names in orders.items():
        lines = listed("--by", by)
        assert [row.split()[0] for row in lines[1:4]] == names, by
        assert [line.partition(":")[0] for line in lines[4:]] == (["-"] if by == "2" else [])
    assert [entry.name for entry in ordered(standings(orders["name"], ()), "acr")] == orders["acr"]
    assert listed("--by", "0.5", "--radius", "0.25,1")[0].split()[-11:-8] == ["0.25", "0.5", "1"]


def test_the_list_is_ordered_by_data_set_and_by_method() -> None:
    facts = [
        ("a", "svhn", "macer", 0.25),
        ("b", "cifar10", "macer", 0.12),
        ("c", "cifar10", "adre", 0.5),
    ]
    entries = [
        Standing(name, dataset, "resnet20", method, sigma, "MIT")
        for name, dataset, method, sigma in facts
    ]
    assert [entry.name for entry in ordered(entries, "dataset")] == ["b", "c", "a"]
    assert [entry.name for entry in ordered(entries, "method")] == ["c", "b", "a"]


def test_sort_puts_the_best_first_at_the_radius_that_was_named_first(package: Path) -> None:
    certify(bundle(GAUSSIAN), [0.3, 0.3])
    certify(bundle(MACER), [0.9, UNCERTAIN])
    for options, first in (
        ((), MACER),
        (("--radius", "0.25,0.5"), GAUSSIAN),
        (("--radius", "0.5", "--radius", "0.25"), MACER),
    ):
        assert listed("--sort", *options)[1].split()[0] == first, options


def test_a_terminal_shows_what_tells_the_entries_apart() -> None:
    columns = ["name", "dataset", "method", "0.5", "ACR", "images"]
    rows = [
        ["a", "cifar10", "adre", "0.1", "0.3", "500"],
        ["b", "cifar10", "macer", "0.1", "0.3", "500"],
    ]
    facts = ("dataset", "method", "images")
    table, shared = Table(columns, rows).distinguishing(facts)
    assert table.columns == ["name", "method", "0.5", "ACR"]
    assert table.rows == [["a", "adre", "0.1", "0.3"], ["b", "macer", "0.1", "0.3"]]
    assert shared == {"dataset": "cifar10", "images": "500"}
    one = Table(columns, rows[:1])
    assert one.distinguishing(facts) == (one, {})


def test_the_list_is_filtered(package: Path) -> None:
    for name, size in (
        (GAUSSIAN, 999_000),
        (MACER, 1_000_000),
        (LARGE, 7_000_000),
        (OTHER, 9_000_000),
    ):
        bundle(name, size=size)
    every = {GAUSSIAN, MACER, LARGE, OTHER}
    filters = {
        ("--dataset", "imagenet"): {OTHER},
        ("--method", "macer"): {MACER, LARGE},
        ("--architecture", "resnet20"): {GAUSSIAN, MACER},
        ("--sigma", "0.50"): every,
        ("--max-size", "1"): {GAUSSIAN, MACER},
        ("--max-size", "1", "--method", "macer"): {MACER},
        ("--all", "--max-size", "1000"): every,
    }
    for options, names in filters.items():
        assert {row.split()[0] for row in listed(*options)[1:]} == names, options
    words = "dataset 'imagenet', sigma 0.33, max size 3.5"
    assert listed("--dataset", "imagenet", "--sigma", 0.33, "--max-size", 3.5) == [
        f"No entry matches '*' with {words}; 'rszoo list --all' prints the recipes as well."
    ]
    assert [row.split()[6:8] for row in listed("--by", "size")[1:3]] == [
        ["999", "kB"],
        ["1.0", "MB"],
    ]
    assert not Filter(max_size=1.0).admits(standings([SMOOTHMIX])[0])


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf"])
def test_a_sigma_or_size_that_none_can_have_is_refused(value: str, complaint: Complaint) -> None:
    assert complaint("list", "--sigma", value).startswith(
        f"rszoo: Expected a finite sigma above 0, got {value}; "
    )
    if value in ("-1", "nan"):
        assert complaint("list", "--max-size", value).startswith(
            f"rszoo: Expected a maximal size >= 0, got {value}; "
        )
        with pytest.raises(ValueError, match=f"got {value}; pass MB"):
            rszoo.best(max_size=float(value))


def test_the_list_never_claims_more_than_the_log(package: Path) -> None:
    certify(bundle(GAUSSIAN), [0.2999, 0.3, UNCERTAIN])
    (row,) = (row.split()[-7:] for row in listed("--radius", "0.25")[1:])
    assert row == ["0.666", "1000", "0.199", "1000", "0.334", "3", "0.001"]


def test_json_has_all_fields(package: Path) -> None:
    certify(bundle(GAUSSIAN), [0.6, UNCERTAIN])
    (row,) = json.loads("\n".join(listed("--json", "--radius", "0.5", "--radius", "0,1")))
    assert set(row) == {*Standing.__dataclass_fields__, "weights"}
    assert (row["radii"], row["accuracies"], row["abstention"]) == (
        [0.0, 0.5, 1.0],
        [0.5, 0.5, 0.0],
        0.5,
    )
    (row,) = json.loads("\n".join(listed("--json")))
    assert (row["accuracies"], row["average_radius"], row["weights"], row["license"]) == (
        [],
        0.3,
        "bundled",
        "MIT",
    )


def test_an_unknown_order_is_one_sentence(complaint: Complaint) -> None:
    for options in (
        ("--by", "accuracy"),
        ("--by", "0.5,1"),
        ("--radius", "half", "--sort"),
        ("--radius", "-1"),
        ("--sort", "--by", "acr"),
    ):
        error = complaint("list", *options)
        assert error.startswith("rszoo: Expected ")
        assert len(error.splitlines()) == 1


def test_the_best_is_found_without_torch(package: Path) -> None:
    certify(bundle(GAUSSIAN), [0.6])
    program = (
        "import pathlib, sys, rszoo.zoo.registry\n"
        f"rszoo.zoo.registry.PACKAGE = pathlib.Path({str(package)!r})\n"
        "print(rszoo.best())\nassert not {'torch', 'huggingface_hub'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == (f"{GAUSSIAN}\n", "")
