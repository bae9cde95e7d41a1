import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from support.training_runs import BLOBS, CPU, losses, recipe, recipe_text

import rszoo
import rszoo.data.datasets
import rszoo.training.loop
from rszoo.data.datasets import Labelled
from rszoo.files import try_lock
from rszoo.training import estimate, start, train
from rszoo.training.optimization import build_optimizers, build_scheduler
from rszoo.training.sealing import is_intact, seal
from rszoo.training.step import take_step
from rszoo.zoo.config import read_config
from rszoo.zoo.history import read_history

DAMAGED = (
    r"^Expected a checkpoint of a run, got .*checkpoint\.pt, "
    r"which is damaged or another file; delete it\.$"
)
TRAIN = """
import sys, torch, rszoo.training.loop as loop
from pathlib import Path
from rszoo.recipe import load_recipe
torch.set_num_threads(1)
loop.CHECKPOINT_SECONDS = 0.0
loop.train(load_recipe(sys.argv[1]), Path(sys.argv[2]), device=torch.device("cpu"))
"""


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(first: Path, second: Path) -> bool:
    ours, theirs = weights(first), weights(second)
    return all(torch.equal(ours[key], theirs[key]) for key in ours | theirs)


def test_a_run_makes_an_entry_that_loads(blobs: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert train(recipe(), out, device=CPU)
    classifier = rszoo.load(f"local-dir:{out}")
    assert classifier.classes == ("dark", "light")
    assert not weights(out)["normalize.mean"].requires_grad
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line.get("epoch") for line in lines] == [1.0, 2.0, 3.0, None]
    assert 0.5 < lines[-1]["noisy_test_accuracy"] <= 1
    start_line = json.loads((out / "runs.jsonl").read_text())
    assert start_line["fingerprint"] == recipe().fingerprint
    assert torch.__version__.startswith(start_line["versions"]["torch"])
    history = read_history(out, read_config(out), recipe())
    assert history is not None
    assert history.noisy_test_accuracy == lines[-1]["noisy_test_accuracy"]
    assert history.seconds > 0
    assert history.machines[0].startswith(f"{platform.machine()} with ")


def test_progress_in_a_file_is_a_line_now_and_then(
    blobs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(rszoo.training.loop, "CHECKPOINT_SECONDS", -1.0)
    train(recipe(), tmp_path / "run", device=CPU)
    err = capsys.readouterr().err
    assert "\r" not in err
    assert err.splitlines()[-1].endswith(": step 12 of 12")


def test_weights_are_stored_in_the_precision_that_votes(blobs: Path, tmp_path: Path) -> None:
    form = '[inference]\nprecision = "'
    for precision in ("float32", "bfloat16"):
        made = recipe(**{form + "float32": form + precision})
        train(made, tmp_path / precision, device=CPU)
    exact, stored = weights(tmp_path / "float32"), weights(tmp_path / "bfloat16")
    assert {tensor.dtype for tensor in exact.values() if tensor.ndim} == {torch.float32}
    for name, tensor in exact.items():
        halved = tensor.ndim > 1 and name.startswith("network")
        kept = tensor.bfloat16() if halved else tensor
        assert stored[name].dtype == kept.dtype
        assert torch.equal(stored[name], kept)
    rszoo.load(f"local-dir:{tmp_path / 'bfloat16'}")


def test_the_log_is_shown_by_tensorboard(blobs: Path, tmp_path: Path) -> None:
    pytest.importorskip(
        "tensorboard", reason="tensorboard is not installed; pip install tensorboard"
    )
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(recipe(), tmp_path / "run", device=CPU)
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert [event.value for event in events.Scalars("loss")] == pytest.approx(
        losses(tmp_path / "run")
    )


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_and_another_gives_others(
    blobs: Path, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        train(recipe(), tmp_path / name, device=CPU)
    train(
        recipe(**{"seed = 0\n\n[training": "seed = 1\n\n[training"}), tmp_path / "other", device=CPU
    )
    assert same(tmp_path / "first", tmp_path / "second")
    assert not same(tmp_path / "first", tmp_path / "other")


@pytest.mark.parametrize("options", ["", "ema_decay = 0.5\nclip_norm = 1.0\nlabel_smoothing = 0.1"])
@pytest.mark.slow
def test_a_run_in_pieces_gives_the_same_weights(options: str, blobs: Path, tmp_path: Path) -> None:
    train(recipe(options), tmp_path / "whole", device=CPU)
    pieces = 0
    while not train(
        recipe(options), tmp_path / "pieces", device=CPU, time_limit=0.0
    ):  # one step a piece
        pieces += 1
    assert pieces == 11
    assert same(tmp_path / "whole", tmp_path / "pieces")
    assert losses(tmp_path / "whole") == losses(tmp_path / "pieces")
    assert losses(tmp_path / "whole")[0] != losses(tmp_path / "whole")[1]


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_same_weights(blobs: Path, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(recipe_text(**{"epochs = 3": "epochs = 12"}))
    command = [sys.executable, "-c", TRAIN, str(path)]
    out = tmp_path / "killed"
    for wanted in (6, 25):
        process = subprocess.Popen([*command, str(out)])
        deadline = time.monotonic() + 240
        while process.poll() is None and time.monotonic() < deadline:
            checkpoint = out / "checkpoint.pt"
            if checkpoint.exists() and torch.load(checkpoint, weights_only=True)["step"] >= wanted:
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the run ended before it was killed"
    subprocess.run([*command, str(out)], check=True)
    subprocess.run([*command, str(tmp_path / "whole")], check=True)
    assert same(out, tmp_path / "whole")
    assert losses(tmp_path / "whole") == losses(out)


def test_a_signal_stops_with_a_checkpoint(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rszoo.training import loop

    def interrupted(run: rszoo.training.Run) -> torch.Tensor:
        if run.step == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return take_step(run)

    monkeypatch.setattr(loop, "take_step", interrupted)
    assert not train(recipe(), tmp_path / "run", device=CPU)
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] == 5


def test_a_run_of_another_recipe_is_not_continued(blobs: Path, tmp_path: Path) -> None:
    train(recipe(), tmp_path / "run", device=CPU, time_limit=0.0)
    with pytest.raises(
        ValueError, match=r"Expected a run of .* got a run of another recipe; choose another folder"
    ):
        train(recipe(**{"epochs = 3": "epochs = 4"}), tmp_path / "run", device=CPU)


def test_an_entry_without_its_run_is_not_trained_over(blobs: Path, tmp_path: Path) -> None:
    train(recipe(), tmp_path / "run", device=CPU)
    (tmp_path / "run" / "checkpoint.pt").unlink()
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").glob("*.*")}
    with pytest.raises(
        ValueError,
        match=r"^Expected a new folder or one with a run, got .*run, "
        r"which holds model\.safetensors; ",
    ):
        train(recipe(**{"epochs = 3": "epochs = 4"}), tmp_path / "run", device=CPU)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").glob("*.*")} == before


def test_lines_of_a_run_that_died_before_its_first_checkpoint_come_once(
    blobs: Path, tmp_path: Path
) -> None:
    train(recipe(), tmp_path / "run", device=CPU)
    for name in ("checkpoint.pt", "config.json", "model.safetensors"):
        (tmp_path / "run" / name).unlink()
    before = losses(tmp_path / "run")
    train(recipe(), tmp_path / "run", device=CPU)
    assert losses(tmp_path / "run") == before


def test_two_runs_do_not_share_a_folder(blobs: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / "runs.jsonl").open("ab") as file:
        assert try_lock(file)
        with pytest.raises(
            ValueError,
            match=r"Expected a folder that nobody trains in, got .*run, where another process does",
        ):
            train(recipe(), tmp_path / "run", device=CPU)
    assert train(recipe(), tmp_path / "run", device=CPU)


def test_a_run_that_diverges_says_so_and_makes_no_entry(blobs: Path, tmp_path: Path) -> None:
    diverging = recipe(**{"rate = 0.1": "rate = 1e30"})
    with pytest.raises(
        ValueError,
        match=r"^Expected a finite loss, got NaN or infinity by step \d+ of .* "
        r"at a rate of .*; lower",
    ):
        train(diverging, tmp_path / "run", device=CPU)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["runs.jsonl"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("checkpoint.pt", b"", DAMAGED),
        ("checkpoint.pt", None, DAMAGED),
        ("checkpoint.pt", {"other": 1}, DAMAGED),
        (
            "log.jsonl",
            b"no line\n",
            r"Expected one JSON object per line in .*log\.jsonl, got others; restore or delete it",
        ),
    ],
    ids=["empty", "half", "of something else", "log"],
)
def test_damaged_files_of_a_run_are_named(
    blobs: Path, tmp_path: Path, name: str, content: Any, message: str
) -> None:
    train(recipe(), tmp_path / "run", device=CPU, time_limit=0.0)
    path = tmp_path / "run" / name
    if isinstance(content, dict):
        torch.save(content, path)
    else:
        path.write_bytes(
            path.read_bytes()[: path.stat().st_size // 2] if content is None else content
        )
    with pytest.raises(ValueError, match=message):
        train(recipe(), tmp_path / "run", device=CPU)


def test_a_run_that_began_on_another_device_is_not_continued(blobs: Path, tmp_path: Path) -> None:
    train(recipe(), tmp_path / "run", device=CPU, time_limit=0.0)
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert state["device"] == "cpu"
    torch.save({**state, "device": "cuda"}, tmp_path / "run" / "checkpoint.pt")
    with pytest.raises(
        ValueError, match=r"Expected a run on cpu .* got one that began on cuda, .* go on there"
    ):
        train(recipe(), tmp_path / "run", device=CPU)


def another_image(data: Path) -> None:
    (data / "blobs" / "train" / "dark" / "00.png").unlink()


def inverted_images(data: Path) -> None:
    for path in (data / "blobs" / "train").rglob("*.png"):
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)


def one_pixel(data: Path) -> None:
    path = data / "blobs" / "train" / "light" / "31.png"
    pixels = np.array(Image.open(path))
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(path)


def other_extra_images(data: Path) -> None:
    np.savez(data / "more.npz", images=np.ones((10, 32, 32, 3), np.uint8), labels=np.ones(10, int))


EXTRA = '[training.extra]\nfile = "more.npz"\nweight = 0.5'


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (another_image, ""),
        (inverted_images, ""),
        (one_pixel, ""),
        (one_pixel, "hold_out = 20"),
        (other_extra_images, EXTRA),
    ],
)
def test_a_run_on_other_data_is_not_continued(
    blobs: Path, tmp_path: Path, change: Callable[[Path], None], options: str
) -> None:
    np.savez(
        blobs / "more.npz", images=np.zeros((10, 32, 32, 3), np.uint8), labels=np.ones(10, int)
    )
    train(recipe(options), tmp_path / "run", device=CPU, time_limit=0.0)
    change(blobs)
    if (change, options) == (one_pixel, "hold_out = 20"):  # of an image that is held out
        assert not train(recipe(options), tmp_path / "run", device=CPU, time_limit=0.0)
        return
    with pytest.raises(
        ValueError,
        match=r"Expected a run on blobs .* got a run on other data; choose another folder",
    ):
        train(recipe(options), tmp_path / "run", device=CPU)


def test_other_files_of_a_streamed_data_set_are_other_data(blobs: Path, tmp_path: Path) -> None:
    (blobs / "blobs.toml").write_text(BLOBS + "streamed = true\n")
    streamed = recipe(**{"crop-flip": "resized-crop-flip"})
    train(streamed, tmp_path / "run", device=CPU, time_limit=0.0)
    path = blobs / "blobs" / "train" / "dark" / "00.png"
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(path)
    with pytest.raises(ValueError, match="got a run on other data"):
        train(streamed, tmp_path / "run", device=CPU)


def test_a_start_names_the_data(blobs: Path, tmp_path: Path) -> None:
    train(recipe(), tmp_path / "run", device=CPU, time_limit=0.0)
    line = json.loads((tmp_path / "run" / "runs.jsonl").read_text())
    assert line["data_sha256"] == rszoo.data.datasets.digest("blobs", "train")


def test_a_checkpoint_of_the_old_form_goes_on_if_its_labels_are_the_same(
    blobs: Path, tmp_path: Path
) -> None:
    train(recipe(), tmp_path / "whole", device=CPU)
    run, path = tmp_path / "run", tmp_path / "run" / "checkpoint.pt"
    for label in (0, 1):
        train(recipe(), run, device=CPU, time_limit=0.0)
        state = torch.load(path, weights_only=True)
        del state["data_sha256"], state["losses"]
        labels = torch.tensor([0] * 32 + [label] * 32).numpy().tobytes()
        torch.save({**state, "data": hashlib.sha256(labels).hexdigest()}, path)
        if label == 0:
            with pytest.raises(ValueError, match="got a run on other data"):
                train(recipe(), run, device=CPU)
            path.unlink()
    assert train(recipe(), run, device=CPU)
    assert same(run, tmp_path / "whole")


def damaged_copies(content: bytes) -> Iterator[bytes]:
    """One bit flipped, or a block zeroed, every so often from the first byte to the last."""
    places = [*range(0, len(content), len(content) // 40), *range(len(content) - 400, len(content))]
    for place in places:
        yield content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :]
        zeroed = content[:place] + bytes(512) + content[place + 512 :]
        yield zeroed[: len(content)]


@pytest.mark.parametrize("sealed", [True, False])
def test_no_damage_to_a_checkpoint_passes(tmp_path: Path, sealed: bool) -> None:
    path = tmp_path / "checkpoint.pt"
    generator = torch.Generator().manual_seed(0)
    state = {f"layer{i}": torch.randn(3000, generator=generator) for i in range(5)}
    torch.save({**state, "step": 7}, path)
    if sealed:
        seal(path)
    assert is_intact(path)
    assert torch.load(path, weights_only=True)["step"] == 7
    content = path.read_bytes()
    for damaged in damaged_copies(content):
        path.write_bytes(damaged)
        if damaged == content or not is_intact(path):
            continue
        assert not sealed  # without a seal, what was damaged was nothing that is read
        try:
            loaded = torch.load(path, weights_only=True)
        except RuntimeError:
            continue
        assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())
        assert loaded["step"] == 7


def test_a_damaged_checkpoint_of_a_run_is_refused(blobs: Path, tmp_path: Path) -> None:
    train(recipe(), tmp_path / "run", device=CPU, time_limit=0.0)
    path = tmp_path / "run" / "checkpoint.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16  # a weight
    path.write_bytes(content)
    assert torch.load(path, weights_only=True)["step"] == 1  # torch does not see it
    with pytest.raises(ValueError, match=DAMAGED):
        train(recipe(), tmp_path / "run", device=CPU)


def test_lines_that_a_kill_cut_are_dropped_at_the_next_start(blobs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(recipe(), run, device=CPU, time_limit=0.0)
    for name in ("runs.jsonl", "log.jsonl"):
        with (run / name).open("a") as file:
            file.write('{"step": 1, "ep')
    (run / ".checkpoint.pt.0123456789abcdef.partial").touch()
    assert train(recipe(), run, device=CPU)
    history = read_history(run, read_config(run), recipe())
    assert history is not None
    assert (len(history.starts), len(history.epochs)) == (2, 4)
    assert not list(run.glob("*.partial"))
    with (run / "runs.jsonl").open("a") as file:
        file.write('{"fingerprint": "')
    assert read_history(run, read_config(run), recipe()) == history


def test_a_recipe_starts_from_another_entry(blobs: Path, tmp_path: Path) -> None:
    train(recipe(), tmp_path / "first", device=CPU)
    second = recipe(f'init_from = "{recipe().name}"')
    run = start(second, CPU, initial=tmp_path / "first")
    assert torch.equal(
        run.network.state_dict()["network.conv1.weight"],
        weights(tmp_path / "first")["network.conv1.weight"],
    )
    with pytest.raises(FileNotFoundError, match=f"Expected the folder of {recipe().name}"):
        start(second, CPU)
    with pytest.raises(ValueError, match="Expected the entry other"):
        start(recipe('init_from = "other"'), CPU, initial=tmp_path / "first")
    for place in (f"local-dir:{tmp_path}/first", f"{tmp_path}/first", "hf-hub:someone/first"):
        run = start(recipe(f'init_from = "{place}"'), CPU, initial=tmp_path / "first")
        assert torch.equal(
            run.network.state_dict()["network.conv1.weight"],
            weights(tmp_path / "first")["network.conv1.weight"],
        )


def test_extra_images_count_with_their_weight(blobs: Path) -> None:
    np.savez(
        blobs / "more.npz", images=np.zeros((10, 32, 32, 3), np.uint8), labels=np.ones(10, np.int64)
    )
    data = start(recipe('[training.extra]\nfile = "more.npz"\nweight = 0.5'), CPU).data
    assert len(data.labels) == 74
    assert data.weights.tolist() == [1.0] * 64 + [0.5] * 10
    np.savez(
        blobs / "more.npz", images=np.zeros((10, 30, 32, 3), np.uint8), labels=np.ones(10, np.int64)
    )
    with pytest.raises(ValueError, match=r"Expected uint8 images like \(N, 32, 32, 3\)"):
        start(recipe('[training.extra]\nfile = "more.npz"\nweight = 0.5'), CPU)


def test_held_out_images_are_not_trained_on(blobs: Path) -> None:
    data = start(recipe("hold_out = 20"), CPU).data
    assert len(data.labels) == 44
    ((_, labels),) = data.monitored
    assert labels.bincount().tolist() == [10, 10]
    assert data.labels.bincount().tolist() == [22, 22]
    with pytest.raises(ValueError, match="Expected hold_out from 0 to 63"):
        start(recipe("hold_out = 64"), CPU)


@pytest.mark.parametrize(("options", "split"), [("hold_out = 20", "held-out"), ("", "train")])
def test_test_images_are_not_looked_at_before_the_end(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, split: str
) -> None:
    test_images = [images for images, _ in rszoo.data.datasets.image_chunks("blobs", "test")]
    watched: list[torch.Tensor] = []

    def seen(run: rszoo.training.Run, chunks: Iterable[Labelled], **_: object) -> float:
        watched.extend(images for images, _ in chunks)
        return 0.5

    monkeypatch.setattr(rszoo.training.loop, "noisy_accuracy", seen)
    train(recipe(options), tmp_path / "run", device=CPU)
    last = watched.pop()
    assert torch.equal(last, torch.cat(test_images))
    assert not any(torch.equal(one, other) for chunk in watched for one in chunk for other in last)
    assert sum(map(len, watched)) == 3 * (20 if options else 64)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line.get("monitored") for line in lines] == [split] * 3 + [None]


def test_a_test_split_that_is_missing_is_found_before_the_first_step(blobs: Path) -> None:
    shutil.rmtree(blobs / "blobs" / "test")
    with pytest.raises(FileNotFoundError, match="Expected"):
        start(recipe(), CPU)


@pytest.mark.slow
def test_a_data_set_of_files_is_streamed_and_resumed(blobs: Path, tmp_path: Path) -> None:
    with (blobs / "blobs.toml").open("a") as file:
        file.write("streamed = true\n")
    streamed = recipe(**{"crop-flip": "resized-crop-flip"})
    train(streamed, tmp_path / "whole", device=CPU)
    while not train(streamed, tmp_path / "pieces", device=CPU, time_limit=0.0):
        pass
    assert same(tmp_path / "whole", tmp_path / "pieces")
    assert losses(tmp_path / "whole")[-1] < losses(tmp_path / "whole")[0]
    with pytest.raises(
        ValueError,
        match=r"Expected augmentation = 'resized-crop-flip' .* got 'crop-flip'; change the recipe",
    ):
        start(recipe(), CPU)


def test_an_augmentation_of_files_is_refused_elsewhere(blobs: Path) -> None:
    with pytest.raises(
        ValueError,
        match="Expected one of none, flip, crop-flip as augmentation of blobs, "
        "got 'resized-crop-flip'; change it",
    ):
        start(recipe(**{"crop-flip": "resized-crop-flip"}), CPU)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (
            'name = "step"\nrate = 0.1\nevery = 2\nfactor = 0.1',
            {0: 0.1, 19: 0.1, 20: 0.01, 40: 0.001},
        ),
        (
            'name = "cosine"\nrate = 0.1\nwarmup = 1.0',
            {0: 0.0, 5: 0.05, 10: 0.1, 35: 0.05, 60: 0.0},
        ),
        ('name = "one-cycle"\nrate = 0.1\nwarmup = 0.2', {0: 0.004, 12: 0.1, 60: 4e-8}),
    ],
)
def test_schedules(schedule: str, rates: dict[int, float]) -> None:
    training = recipe(
        **{'name = "one-cycle"\nrate = 0.1\nwarmup = 0.2': schedule, "epochs = 3": "epochs = 6"}
    ).training
    (optimizer,) = build_optimizers(torch.nn.Linear(1, 1), training)
    scheduler = build_scheduler(optimizer, training, steps_per_epoch=10)
    seen = []
    for _ in range(61):
        seen.append(scheduler.get_last_lr()[0])
        optimizer.step()
        if len(seen) <= 60:
            scheduler.step()
    assert {step: seen[step] for step in rates} == {
        step: pytest.approx(rate, rel=0.02, abs=1e-6) for step, rate in rates.items()
    }


def test_the_estimate_counts_steps_and_passes(blobs: Path) -> None:
    found = estimate(recipe(**{'name = "gaussian"': 'name = "smoothed"\nm = 4'}), CPU)
    assert (found.steps, found.batch_size, found.passes) == (12, 16, 4)
    assert found.seconds > 0


@pytest.mark.parametrize("batch_size", [32, 64])
def test_the_estimate_of_a_run_with_few_steps_takes_no_more(blobs: Path, batch_size: int) -> None:
    short = recipe(**{"epochs = 3": "epochs = 1", "batch_size = 16": f"batch_size = {batch_size}"})
    found = estimate(short, CPU)
    assert found.steps == 64 // batch_size
    assert found.seconds > 0
