import json
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import RECIPE, Complaint, without_times
from PIL import Image
from support.processes import APART, torchrun

import rszoo
from rszoo.cli import main
from rszoo.data.datasets import open_images
from rszoo.evaluation import (
    AttackOptions,
    CertifyOptions,
    Evaluation,
    Options,
    PredictOptions,
    VotingEvaluator,
)
from rszoo.logs.analysis import audit
from rszoo.logs.format import CertifyProtocol, logged_radius, merge, read_log
from rszoo.recipe import load_recipe, recipe_text
from rszoo.smoothing.precision import multiplies_bfloat16
from rszoo.zoo.config import Source, read_config
from rszoo.zoo.entry import read_entry, write_entry
from rszoo.zoo.loading import open_entry

PROTOCOL: dict[str, Any] = {
    "stride": 1,
    "n0": 10,
    "n": 200,
    "alpha": 0.001,
    "bound": "cohen",
    "seed": 0,
}
SEED_OF_KILLS = 1
HEEDING = """
import signal
# a process started in the background ignores SIGINT
signal.signal(signal.SIGINT, signal.default_int_handler)
from rszoo.cli import main
main()
"""


def evaluate(
    name: str, out: Path, *, batch_size: int | None = None, **options: Any
) -> list[list[str]]:
    chosen = CertifyOptions(**{**PROTOCOL, **options})
    return evaluated(name, out, chosen, batch_size=batch_size)


def evaluated(
    name: str, out: Path, options: Any, *, batch_size: int | None = None
) -> list[list[str]]:
    with Evaluation(name, out, options, batch_size=batch_size) as evaluation:
        for _ in evaluation:
            pass
    return without_times(out)


@pytest.mark.parametrize(
    "options",
    [{}, {"batch_size": 7}, {"start": 3, "stop": 20, "stride": 4}, {"split": "test", "sigma": 0.5}],
)
@pytest.mark.slow
def test_a_line_is_what_certify_says_of_the_image(
    shades: str, tmp_path: Path, options: dict[str, Any]
) -> None:
    evaluate(shades, tmp_path / "log.tsv", **options)
    log = read_log(tmp_path / "log.tsv")
    assert log.protocol is not None
    clf = open_entry(shades, sigma=log.protocol.sigma).classifier
    images = open_images("shades", "test")
    assert [record.idx for record in log.records] == list(log.protocol.indices)
    assert (log.protocol.sigma, log.protocol.trained_sigma) == (options.get("sigma", 0.25), 0.25)
    for record in log.records:
        found = clf.certify(images.pixels(record.idx) / 255, n0=10, n=200, keys=[str(record.idx)])
        assert (record.predict, record.selected) == (found.label, found.selected)
        assert record.counts(2) == list(found.counts)
        assert record.radius == pytest.approx(found.radius, abs=1e-6)
        assert record.radius is not None
        assert record.radius <= found.radius
        assert record.label == int(images.labels[record.idx])
        assert record.correct == (record.label == record.predict)


def test_an_evaluator_gives_the_lines_of_the_log_without_one(shades: str, tmp_path: Path) -> None:
    evaluate(shades, tmp_path / "log.tsv", radii=[0.0, 0.1, 0.4])
    log = read_log(tmp_path / "log.tsv")
    assert isinstance(log.protocol, CertifyProtocol)
    evaluator = VotingEvaluator(log.protocol, rszoo.load(shades), open_images("shades", "test"))
    for (record,), line in zip(evaluator.records([5, 2]), (5, 2), strict=True):
        logged = log.records[line]
        assert record.radius is not None
        assert replace(record, radius=logged_radius(record.radius)) == replace(logged, seconds=0.0)


def test_a_log_names_versions_and_processor(shades: str, tmp_path: Path) -> None:
    evaluate(shades, tmp_path / "log.tsv", stop=1)
    log = read_log(tmp_path / "log.tsv")
    assert log.protocol is not None
    versions = f"rszoo {rszoo.__version__}, torch {torch.__version__}, numpy {np.__version__}"
    instructions = torch.backends.cpu.get_cpu_capability() + (
        " and bfloat16" if multiplies_bfloat16() else ""
    )
    assert log.protocol.software == f"{versions}, {platform.machine()} with {instructions}"


def test_predict_takes_every_n_from_one_stream(shades: str, tmp_path: Path) -> None:
    options = PredictOptions(stride=3, n=[20, 100, 150])
    with Evaluation(shades, tmp_path / "log.tsv", options) as evaluation:
        assert [len(records) for records in evaluation] == [3] * 8
    log = read_log(tmp_path / "log.tsv")
    clf = rszoo.load(shades)
    for record in log.records:
        x = open_images("shades", "test").pixels(record.idx) / 255
        found = clf.predict(x, n=record.n, keys=[str(record.idx)])
        assert (record.predict, record.counts(2), record.radius) == (
            found.label,
            list(found.counts),
            None,
        )
    assert [record.n for record in log.records[:3]] == [20, 100, 150]


def test_the_votes_at_a_small_n_are_among_those_at_a_large_n(shades: str, tmp_path: Path) -> None:
    first = {row[0]: row for row in evaluate(shades, tmp_path / "a.tsv", n=100)[1:]}
    for row in evaluate(shades, tmp_path / "b.tsv", n=150)[1:]:
        added = int(row[6]) - int(first[row[0]][6])
        assert 0 <= added <= 50


@pytest.mark.parametrize("options", [{"radii": [0.0, 0.1, 0.4]}, {"tolerance": 0.05}])
@pytest.mark.slow
def test_fewer_samples_give_the_lines_of_certify(
    shades: str, tmp_path: Path, options: dict[str, Any]
) -> None:
    evaluate(shades, tmp_path / "log.tsv", n=2000, batch_size=50, **options)
    log = read_log(tmp_path / "log.tsv")
    images, clf = open_images("shades", "test"), rszoo.load(shades)
    renamed = {{"radii": "radius"}.get(key, key): value for key, value in options.items()}
    taken = set()
    for record in log.records:
        x = images.pixels(record.idx) / 255
        found = clf.certify(x, n0=10, n=2000, keys=[str(record.idx)], **renamed)
        assert (record.predict, record.n, record.counts(2)) == (
            found.label,
            found.n,
            list(found.counts),
        )
        assert record.path == (found.path if "radii" in options else None)
        taken.add(found.n)
    assert len(taken) > 1
    assert max(taken) <= 2000


@pytest.mark.slow
def test_a_radius_is_given_up_as_the_protocol_says(shades: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"radii": [0.0, 0.1, 0.2, 0.3, 0.4], "n": 2000}
    never, usual, soon = (tmp_path / name for name in ("never", "usual", "soon"))
    for path, power in ((never, {"power": 0.0}), (usual, {}), (soon, {"power": 0.3})):
        evaluate(shades, path, **{**options, **power})
        assert audit(read_log(path)) == []
    powers = [getattr(read_log(path).protocol, "power", None) for path in (never, usual, soon)]
    drawn = [sum(record.n for record in read_log(path).records) for path in (never, usual, soon)]
    assert powers == [0.0, 0.01, 0.3]
    assert drawn[0] > drawn[1] > drawn[2]
    with pytest.raises(ValueError, match="power"):
        evaluate(shades, never, **options)


def test_correct_only_estimates_only_images_whose_class_was_selected(
    shades: str, tmp_path: Path
) -> None:
    everything = evaluate(shades, tmp_path / "all.tsv")[1:]
    spared = evaluate(shades, tmp_path / "some.tsv", correct_only=True)[1:]
    skipped = 0
    for one, other in zip(everything, spared, strict=True):
        label, selected = one[1], one[5]
        if selected == label:
            assert other == one
        else:
            assert other[2:5] == ["-1", "0.000000", "0"]
            assert other[9] == "0"
            skipped += 1
    assert 0 < skipped < len(spared)


@pytest.mark.parametrize("count", [2, 3])
def test_shards_make_the_log_of_one_piece(shades: str, tmp_path: Path, count: int) -> None:
    whole = evaluate(shades, tmp_path / "whole.tsv")
    paths = [tmp_path / f"{number}.tsv" for number in range(1, count + 1)]
    for number, path in enumerate(paths, 1):
        evaluate(shades, path, shard=(number, count))
    merge(paths, tmp_path / "merged.tsv")
    assert without_times(tmp_path / "merged.tsv") == whole


def inverted(data: Path) -> None:
    for path in (data / "shades" / "test").rglob("*.png"):
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)


def exchanged(data: Path) -> None:
    """The same pixels and labels in another order."""
    dark = data / "shades" / "test" / "dark"
    one, other = dark / "0.png", dark / "2.png"
    pixels = Image.open(one).copy()
    Image.open(other).copy().save(one)
    pixels.save(other)


def change_data_of_log(path: Path, digest: str | None) -> None:
    """Let a log say another digest; with None, as older logs do, nothing."""
    first, rest = path.read_text().split("\n", 1)
    protocol = json.loads(first[1:]) | {"data_sha256": digest}
    if digest is None:
        del protocol["data_sha256"]
    path.write_text(f"# {json.dumps(protocol)}\n{rest}")


@pytest.mark.parametrize("change", [inverted, exchanged])
def test_a_log_of_other_pixels_is_not_resumed(
    shades: str, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    log = tmp_path / "log.tsv"
    whole = evaluate(shades, log)
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:9]))
    before = log.read_bytes()
    shutil.copytree(tmp_path / "shades", tmp_path / "kept")
    change(tmp_path)
    with pytest.raises(ValueError, match=r"got one of another \(data_sha256: \w+ and \w+\); write"):
        evaluate(shades, log)
    assert log.read_bytes() == before
    shutil.rmtree(tmp_path / "shades")
    (tmp_path / "kept").rename(tmp_path / "shades")
    assert evaluate(shades, log) == whole


def test_only_the_split_that_is_evaluated_counts(shades: str, tmp_path: Path) -> None:
    log = tmp_path / "log.tsv"
    shutil.copytree(tmp_path / "shades" / "test", tmp_path / "shades" / "train")
    whole = evaluate(shades, log)
    shutil.rmtree(tmp_path / "shades" / "train")
    assert evaluate(shades, log) == whole


def test_an_older_log_is_resumed_without_its_data(shades: str, tmp_path: Path) -> None:
    log = tmp_path / "log.tsv"
    whole = evaluate(shades, log)
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:9]))
    change_data_of_log(log, None)
    head = log.read_text().split("\n", 1)[0]
    assert evaluate(shades, log) == whole
    assert log.read_text().split("\n", 1)[0] == head
    assert read_log(log).protocol.data_sha256 is None


def test_shards_of_other_data_are_not_merged(shades: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.tsv" for number in (1, 2, 3)]
    for number, path in enumerate(paths, 1):
        evaluate(shades, path, shard=(number, 3))
    digest = open_images("shades", "test").digest()
    protocol = merge(paths, tmp_path / "merged.tsv").protocol
    assert isinstance(protocol, CertifyProtocol)
    assert protocol.data_sha256 == digest
    change_data_of_log(paths[0], None)
    merged = merge(paths, tmp_path / "older.tsv").protocol
    assert merged.data_sha256 is None
    change_data_of_log(paths[2], "0" * 64)
    with pytest.raises(ValueError, match=r"3\.tsv with data_sha256: "):
        merge(paths, tmp_path / "other.tsv")


def test_an_entry_in_a_folder_has_the_protocol_of_its_own_recipe(
    shades: str, tmp_path: Path
) -> None:
    folder = Path(shades.removeprefix("local-dir:"))
    fingerprint = read_config(folder).recipe_fingerprint
    text = recipe_text(load_recipe(RECIPE)).replace('dataset = "cifar10"', 'dataset = "shades"')
    own = re.sub(r"stride = \d+", "stride = 5", text)
    assert own != text
    for number, (recipe, stride) in enumerate(
        [(None, 20), (own, 5), (own.replace("epochs = ", "epochs = 1"), 20)]
    ):
        if recipe is not None:
            (folder / "recipe.toml").write_text(recipe + "\n")
            same = load_recipe(str(folder / "recipe.toml")).fingerprint == fingerprint
            assert same == (stride == 5)
        for name in (shades, str(folder)):
            with Evaluation(name, tmp_path / f"{number}.tsv", PredictOptions()) as evaluation:
                assert evaluation.protocol.stride == stride
    (folder / "recipe.toml").write_text("no recipe")
    with pytest.raises(ValueError, match=r"recipe\.toml"):
        Evaluation(shades, tmp_path / "log.tsv")


@pytest.mark.slow
def test_torchrun_shards_and_joins(shades: str, tmp_path: Path) -> None:
    whole = evaluate(shades, tmp_path / "whole.tsv")
    options = [f"--{key}={value}" for key, value in PROTOCOL.items()]
    out = ["--out", str(tmp_path / "log.tsv")]
    done = torchrun(2, "-m", "--", "rszoo.cli", "evaluate", shades, *out, *options)
    assert done.returncode == 0, done.stderr
    assert "Joined 2 shards" in done.stdout
    assert not list(tmp_path.glob("log.tsv.shard-*"))
    assert without_times(tmp_path / "log.tsv") == whole


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "difference", "words"),
    [
        ("evaluate", "sys.argv.append('--seed=1')", "got seed: 0 and 1 in processes 0 and 1"),
        ("attack", "sys.argv.append('--n=50')", "got n: 20 and 50 in processes 0 and 1"),
        ("evaluate", "os.environ['RSZOO_DATA'] += '/other'", "got data_sha256: "),
        ("evaluate", "sys.argv[2] += '-other'", "got weights_sha256: "),
        ("attack", "os.environ['RSZOO_DATA'] = '/nowhere'", "Unknown data set 'shades'"),
        (
            "evaluate",
            "import numpy; numpy.__version__ = '9.9.9'",
            "got software: rszoo ",
        ),
    ],
    ids=["options", "attack", "data", "weights", "no data", "versions"],
)
def test_processes_that_differ_write_nothing(
    shades: str, tmp_path: Path, verb: str, difference: str, words: str
) -> None:
    for name in ("other", "codes", "out"):
        (tmp_path / name).mkdir()
    shutil.copytree(tmp_path / "shades", tmp_path / "other" / "shades")
    shutil.copy(tmp_path / "shades.toml", tmp_path / "other")
    inverted(tmp_path / "other")
    network, config = read_entry(tmp_path / "entry")
    with torch.no_grad():
        network.get_parameter("network.fc.bias").add_(0.1)
    (tmp_path / "entry-other").mkdir()
    stated = {field.name: getattr(config, field.name) for field in fields(Source)}
    write_entry(tmp_path / "entry-other", network, Source(**stated))
    program = tmp_path / "program.py"
    program.write_text(APART.format(difference=difference, codes=tmp_path / "codes"))
    options = ["--out", str(tmp_path / "out" / "log.tsv"), "--stride=1", "--n=20"]
    options += ["--seed=0"]
    if verb == "attack":
        options += ["--steps=1", "--num-noise=1", "--save-images", str(tmp_path / "out" / "images")]
    done = torchrun(2, "--", str(program), verb, shades, *options)
    sentences = [line for line in done.stderr.splitlines() if line.startswith("rszoo: ")]
    assert done.returncode != 0
    assert [words in line for line in sentences] == [True], done.stderr
    assert [path.read_text() for path in sorted((tmp_path / "codes").iterdir())] == ["2", "2"]
    assert done.stderr.count("exitcode  : 2 ") == 2
    assert not list((tmp_path / "out").iterdir())


DRIVER = """
import os, random, signal, sys, time
from pathlib import Path
from typing import Any
import torch
from rszoo.evaluation import CertifyOptions, Evaluation
torch.set_num_threads(1)
name, out, options = sys.argv[1], Path(sys.argv[2]), CertifyOptions(**eval(sys.argv[3]))
generator, kills = random.Random(int(sys.argv[4])), 0
while kills < 20:
    child = os.fork()
    if child == 0:
        with Evaluation(name, out, options) as evaluation:
            for _ in evaluation:
                time.sleep(0.03)
        os._exit(0)
    time.sleep(generator.uniform(0.02, 0.4))
    os.kill(child, signal.SIGKILL)
    if os.waitpid(child, 0)[1] == 0:  # it was done before: take some of its work away
        os.truncate(out, generator.randrange(out.stat().st_size))
        continue
    kills += 1
    if out.exists() and out.stat().st_size and generator.random() < 0.5:
        # as if killed within a line
        os.truncate(out, max(0, out.stat().st_size - generator.randrange(60)))
print(kills, "kills")
"""


@pytest.mark.slow
def test_killed_at_random_moments_it_goes_on_to_the_same_log(shades: str, tmp_path: Path) -> None:
    whole = evaluate(shades, tmp_path / "whole.tsv")
    arguments = [shades, str(tmp_path / "log.tsv"), repr(PROTOCOL), str(SEED_OF_KILLS)]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-2] == "20", done.stdout
    assert evaluate(shades, tmp_path / "log.tsv") == whole


@pytest.mark.slow
def test_an_interrupted_command_keeps_its_lines(shades: str, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        HEEDING,
        "evaluate",
        shades,
        "--out",
        str(tmp_path / "log.tsv"),
        "--stride=1",
        "--n=500000",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while not (tmp_path / "log.tsv").exists() and process.poll() is None:
            time.sleep(0.1)
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    finally:
        process.kill()
    assert read_log(tmp_path / "log.tsv").protocol is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 9}, "Expected n large enough to certify at alpha=0.001, got n=9"),
        ({"n": [100, 1000]}, r"Expected `int`, got `array` - at `\$.n`"),
        (
            {"radii": [0.5, 0.25]},
            r"fault: radii that ascend .* are needed, not \[0.5, 0.25\]; correct the option\.$",
        ),
        (
            {"radii": [0.5], "bound": "joint"},
            r"bound joint with tolerance None cannot be; correct the option\.$",
        ),
        (
            {"radii": [0.5], "tolerance": 0.1},
            r"bound cohen with tolerance 0.1 cannot be; correct the option\.$",
        ),
        (
            {"power": 0.1},
            "a power of 0 is needed where no radii are given up, not 0.1; correct the option",
        ),
        ({"radii": [0.5], "power": 1.5}, r"`\$.power`; got 1.5"),
        ({"tolerance": -0.1}, r"`\$.tolerance`"),
        ({"bound": "best"}, "Unknown bound 'best'; use one of cohen, joint"),
        ({"alpha": 2.0}, r"Expected `float` < 1.0 - at `\$.alpha`; got 2.0"),
        ({"stride": -1}, r"`\$.stride`; got -1"),
        ({"stride": 0}, r"`\$.stride`; got 0"),
        (
            {"start": 3, "stop": 5, "shard": (3, 3)},
            "Expected images in each shard, got none for 3/3; make fewer shards",
        ),
        ({"start": 30}, "Expected 0 <= start < stop <= 24, got start=30"),
        ({"shard": (3, 2)}, "Expected a shard from 1/2 to 2/2, got 3/2"),
        ({"sigma": -0.5}, "Expected sigma > 0"),
        ({"seed": -1}, r"`\$.seed`"),
        ({"split": "train"}, "Expected a complete shades in"),
    ],
)
def test_bad_options_are_one_sentence_and_make_no_log(
    shades: str, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        evaluate(shades, tmp_path / "log.tsv", **options)
    assert not (tmp_path / "log.tsv").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (PredictOptions(n=[1000, 100]), "Expected ascending n"),
        (PredictOptions(n=[]), "Expected ascending n"),
        (PredictOptions(n=5, stride=1), "got n=5; use n >= 11"),
        (PredictOptions(n=20, start=3, stop=5, stride=1, shard=(3, 3)), "make fewer shards"),
        (
            AttackOptions(),
            "Expected CertifyOptions, SoftOptions or PredictOptions, got AttackOptions",
        ),
    ],
)
def test_bad_options_of_other_tasks_are_one_sentence_and_make_no_log(
    shades: str, tmp_path: Path, options: Options, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        evaluated(shades, tmp_path / "log.tsv", options)
    assert not (tmp_path / "log.tsv").exists()


def test_the_command_refuses_options_of_the_other_task(
    shades: str, tmp_path: Path, complaint: Complaint
) -> None:
    command = ("evaluate", shades, "--out", tmp_path / "log.tsv")
    assert "Expected one n for CERTIFY, got [100, 1000]" in complaint(*command, "--n", "100,1000")
    assert "Expected --n to be a number or several, got '1e3'" in complaint(*command, "--n", "1e3")
    predict = (*command, "--task", "predict")
    assert "Expected no --n0 for PREDICT, got one" in complaint(*predict, "--n0", 10)
    assert "Expected no --radius for PREDICT, got one" in complaint(*predict, "--radii", "0,1")
    assert not (tmp_path / "log.tsv").exists()


def test_the_command_says_what_it_will_cost_and_what_it_found(
    shades: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [
        "rszoo",
        "evaluate",
        shades,
        "--out",
        str(tmp_path / "log.tsv"),
        "--n=200",
        "--stride=6",
        "--sigma=0.3",
    ]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert (
        "at sigma 0.3 (trained at 0.25): 4 images of shades test, 0 done, 300 samples each; about"
        in out
    )
    assert f"{tmp_path / 'log.tsv'} holds 4 images" in out


@pytest.mark.parametrize(
    "rule",
    [
        {"radii": (0.0, 0.05, 0.25)},
        {"radii": (64 / 255,), "correct_only": True},
        {"tolerance": 0.1},
        {"correct_only": True},
    ],
    ids=str,
)
def test_the_audit_finds_nothing_in_logs_with_as_many_samples_as_needed(
    shades: str, tmp_path: Path, rule: dict[str, Any]
) -> None:
    evaluate(shades, tmp_path / "log.tsv", **rule)
    assert audit(read_log(tmp_path / "log.tsv")) == []
