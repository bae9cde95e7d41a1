"""Methods that learn from a teacher, or weigh images by votes: what a run prepares for them."""

import re
from pathlib import Path

import msgspec
import pytest
import torch
from conftest import Complaint, shaken
from safetensors.torch import load_file
from support.training_runs import BLOBS, CPU, losses, recipe
from torch import Tensor, nn

import rszoo
from rszoo.architectures import build
from rszoo.recipe import Recipe
from rszoo.training import Run, estimate, start, train
from rszoo.training.sampling import Sampler
from rszoo.training.step import take_step
from rszoo.training.votes import class_votes, prepare_teacher, weigh
from rszoo.zoo.config import recipe_source
from rszoo.zoo.entry import read_entry, write_entry

CATRS = 'name = "catrs"\nm = 2\nlam = 1.0\neps = 0.5\nsteps = 1\nconfidence = "teacher"'
DISTILLED = 'name = "distilled"\nm = 1'
REWEIGHTED = (
    'name = "reweighted"\nm = 1\neps = 0.25\nsteps = 1\nstart = 1\nthreshold = 0.2\nevery = 1\n'
    "votes = 16\nfirst_votes = 10"
)
LESSON = f'teacher = "{recipe().name}"'
SHORT = {
    "epochs = 3": "epochs = 2",
    "batch_size = 16": "batch_size = 32",
    "warmup = 0.2": "warmup = 0.5",
}


def wanted(method: str, options: str = "", **replaced: str) -> Recipe:
    return recipe(options, **{'name = "gaussian"': method, **replaced})


@pytest.fixture
def teacher(blobs: Path, tmp_path: Path) -> Path:
    """An entry with a ResNet-20."""
    return entry(tmp_path / "teacher", 5)


def entry(folder: Path, seed: int) -> Path:
    folder.mkdir()
    torch.manual_seed(seed)
    network = build("resnet20", num_classes=2, mean=(0.5,) * 3, std=(0.3,) * 3)
    write_entry(folder, shaken(network), recipe_source(recipe()))
    return folder


def same(first: Path, second: Path) -> bool:
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (first, second))
    return all(torch.equal(ours[key], theirs[key]) for key in ours | theirs)


@pytest.mark.parametrize(
    ("method", "options"),
    [(CATRS, f"{LESSON}\nteacher_votes = 3"), (DISTILLED, LESSON), (REWEIGHTED, "")],
    ids=["catrs", "distilled", "reweighted"],
)
@pytest.mark.slow
def test_a_run_in_pieces_gives_the_same_weights(
    method: str, options: str, teacher: Path, tmp_path: Path
) -> None:
    folder = teacher if options else None
    task = wanted(method, options, **SHORT)
    assert train(task, tmp_path / "whole", device=CPU, teacher=folder)
    pieces = 0
    while not train(task, tmp_path / "pieces", device=CPU, time_limit=0.0, teacher=folder):
        pieces += 1
    assert pieces == 3
    assert same(tmp_path / "whole", tmp_path / "pieces")
    assert len(losses(tmp_path / "whole")) == 2


def test_the_votes_of_the_teacher_are_counted_once_and_kept(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = wanted(CATRS, f"{LESSON}\nteacher_votes = 3", **SHORT)
    train(task, tmp_path / "run", device=CPU, time_limit=0.0, teacher=teacher)
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["teacher"]
    run = start(task, CPU, teacher=teacher)
    prepare_teacher(run)
    assert run.teacher is not None
    assert run.teacher.votes is not None
    assert torch.equal(state["votes"], run.teacher.votes)

    def never(*args: object) -> torch.Tensor:
        raise AssertionError("counted again")

    monkeypatch.setattr("rszoo.training.votes.class_votes", never)
    train(task, tmp_path / "run", device=CPU, time_limit=0.0, teacher=teacher)


def test_the_smoothed_prediction_is_the_share_of_the_votes_on_clean_images(teacher: Path) -> None:
    run = start(wanted(CATRS, f"{LESSON}\nteacher_votes = 5"), CPU, teacher=teacher)
    assert run.teacher is not None
    assert run.teacher.prediction(torch.arange(3)) is None
    prepare_teacher(run)
    assert run.teacher.votes is not None
    assert run.teacher.votes.sum(1).tolist() == [5] * 64
    chosen = torch.tensor([3, 60, 3])
    shares = run.teacher.prediction(chosen)
    assert shares is not None
    assert torch.equal(shares, run.teacher.votes[chosen] / 5)
    network, _ = read_entry(teacher)
    images = torch.cat(list(run.data.clean()))
    with torch.inference_mode():
        clean = network(images.float() / 255).argmax(1)
    assert (run.teacher.votes.argmax(1) == clean).float().mean() > 0.7


def test_the_teacher_is_frozen_and_the_network_keeps_its_mode(teacher: Path) -> None:
    run = start(wanted(DISTILLED, LESSON), CPU, teacher=teacher)
    run.network.train()
    assert run.teacher is not None
    before = {name: value.clone() for name, value in run.teacher.network.state_dict().items()}
    take_step(run)
    after = run.teacher.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not any(module.training for module in run.teacher.network.modules())
    class_votes(run, run.network, 1, "test")
    assert all(module.training for module in run.network.modules())


class LeftOrRight(nn.Module):
    """Class 1 where the first pixel is brighter than the second, which noise decides."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x[:, 0, 0, 1], x[:, 0, 0, 0]], dim=1)


def test_votes_are_of_the_seed_the_purpose_and_the_images_alone(blobs: Path) -> None:
    run, network = start(recipe(), CPU), LeftOrRight()
    first = class_votes(run, network, 4, "a")
    assert first.sum(1).tolist() == [4] * 64
    assert torch.equal(first, class_votes(run, network, 4, "a"))
    other = start(recipe(**{"seed = 0\n\n[training": "seed = 1\n\n[training"}), CPU)
    assert not torch.equal(first, class_votes(run, network, 4, "b"))
    assert not torch.equal(first, class_votes(other, network, 4, "a"))


def weighed(task: Recipe, epoch: int, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run at the start of an epoch at which half of the images are hopeless."""
    run = start(task, CPU)
    run.step = epoch * run.steps_per_epoch
    votes = torch.where(torch.arange(64) % 2 == 0, 10, 0)

    def half(*args: object) -> torch.Tensor:
        return torch.zeros(64, 2, dtype=torch.int64).scatter(
            1, run.data.labels.unsqueeze(1), votes.unsqueeze(1)
        )

    monkeypatch.setattr("rszoo.training.votes.class_votes", half)
    weigh(run)
    return run


def test_images_without_weight_are_not_drawn(blobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = weighed(wanted(REWEIGHTED), 1, monkeypatch)
    assert run.sampler.weights is not None
    assert ((run.sampler.weights > 0) == (torch.arange(64) % 2 == 0)).all()
    order = run.sampler.order(1)
    assert order.shape == (64,)
    assert (order % 2 == 0).all()
    assert len(order.unique()) < 32, "with replacement"


def test_images_are_weighed_at_the_start_of_the_epochs_that_the_method_names(
    blobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert weighed(wanted(REWEIGHTED), 0, monkeypatch).sampler.weights is None
    assert weighed(recipe(), 1, monkeypatch).sampler.weights is None
    late = wanted(REWEIGHTED.replace("every = 1", "every = 2"))
    assert weighed(late, 2, monkeypatch).sampler.weights is None


def test_a_run_that_keeps_no_image_says_so(blobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = start(wanted(REWEIGHTED), CPU)
    run.step = run.steps_per_epoch
    none = torch.zeros(64, 2, dtype=torch.int64)
    monkeypatch.setattr("rszoo.training.votes.class_votes", lambda *args: none)
    with pytest.raises(ValueError, match=r"^Expected images to go on with at epoch 1 of .* lower"):
        weigh(run)


def test_an_order_is_of_the_seed_and_the_epoch() -> None:
    sampler, again = Sampler(3, 50, CPU), Sampler(3, 50, CPU)
    orders = [sampler.order(epoch) for epoch in range(4)]
    assert all(sorted(order.tolist()) == list(range(50)) for order in orders)
    assert torch.equal(again.order(2), orders[2])
    assert torch.equal(sampler.order(0), orders[0])
    assert not torch.equal(orders[0], orders[1])
    again.reweigh(torch.arange(50, dtype=torch.float64))
    weighted = again.order(2)
    assert not torch.equal(weighted, orders[2])
    sampler.load_state_dict(again.state_dict())
    assert torch.equal(sampler.order(2), weighted)


@pytest.mark.slow
def test_a_data_set_of_files_is_weighed_and_resumed(blobs: Path, tmp_path: Path) -> None:
    (blobs / "blobs.toml").write_text(BLOBS + "streamed = true\n")
    task = wanted(REWEIGHTED, **SHORT, **{"crop-flip": "resized-crop-flip"})
    assert train(task, tmp_path / "whole", device=CPU)
    while not train(task, tmp_path / "pieces", device=CPU, time_limit=0.0):
        pass
    assert same(tmp_path / "whole", tmp_path / "pieces")


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (CATRS, "", r"Expected teacher in \[training\] for the method catrs, got none; add it"),
        (CATRS, LESSON, r"Expected teacher_votes in \[training\] for .* catrs, got none; add it"),
        (DISTILLED, "", r"Expected teacher in \[training\] for .* distilled, got none; add it"),
        (
            DISTILLED,
            f"{LESSON}\nteacher_votes = 3",
            r"Expected no teacher_votes in \[training\] .* which uses none, got 3; remove it",
        ),
        ('name = "gaussian"', LESSON, r"Expected no teacher in .* for the method gaussian, which"),
    ],
)
def test_a_recipe_has_the_teacher_that_its_method_needs(
    blobs: Path, method: str, options: str, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        start(wanted(method, options), CPU, random_start=True)


def test_a_teacher_that_does_not_fit_is_refused(teacher: Path) -> None:
    task = wanted(DISTILLED, LESSON)
    with pytest.raises(FileNotFoundError, match=r"the teacher of this recipe, got none; pass its"):
        start(task, CPU)
    with pytest.raises(ValueError, match=r"^Expected the entry other in .*teacher, got blobs-"):
        start(wanted(DISTILLED, 'teacher = "other"'), CPU, teacher=teacher)
    bundled = Path(rszoo.__file__).parent / "entries" / "cifar10-resnet20-gaussian-s0.25"
    with pytest.raises(
        ValueError,
        match=r"^Expected a teacher for 2 classes of images .* for 10 of .*; choose another",
    ):
        start(wanted(DISTILLED, f'teacher = "{bundled}"'), CPU, teacher=bundled)


def test_a_run_goes_on_with_the_teacher_it_began_with(teacher: Path, tmp_path: Path) -> None:
    task = wanted(DISTILLED, LESSON)
    train(task, tmp_path / "run", device=CPU, time_limit=0.0, teacher=teacher)
    other = entry(tmp_path / "other", 6)
    with pytest.raises(ValueError, match=r"^Expected the teacher that the run began with, weights"):
        train(task, tmp_path / "run", device=CPU, time_limit=0.0, teacher=other)


def test_the_command_line_finds_the_teacher_by_its_name_or_takes_its_folder(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: Complaint
) -> None:
    from support.commands import run

    from rszoo.recipe import recipe_text

    file, out = tmp_path / "mine.toml", tmp_path / "run"
    file.write_text(recipe_text(wanted(DISTILLED, LESSON)))
    words = complaint("train", file, "--out", out)
    assert "from which this recipe learns, got none; pass their folder with --teacher" in words
    folders: list[Path] = []

    def trained(recipe: Recipe, out: Path, *, teacher: Path, **options: object) -> bool:
        folders.append(teacher)
        return True

    monkeypatch.setattr("rszoo.training.train", trained)
    run("train", file, "--out", out, "--teacher", teacher)
    bundled = "cifar10-resnet20-gaussian-s0.25"
    file.write_text(recipe_text(wanted(DISTILLED, f'teacher = "{bundled}"')))
    run("train", file, "--out", out)
    assert [folder.name for folder in folders] == ["teacher", bundled]
    file.write_text(recipe_text(recipe()))
    assert re.search(
        r"Expected no --teacher for .*, which has no teacher, got .*; leave it out",
        complaint("train", file, "--out", out, "--teacher", teacher),
    )


def test_a_recipe_with_a_teacher_is_estimated_without_it(blobs: Path) -> None:
    found = estimate(wanted(CATRS, f"{LESSON}\nteacher_votes = 100", **SHORT), CPU)
    assert (found.steps, found.passes) == (4, 6)


def test_a_teacher_changes_no_fingerprint_of_a_recipe_without_one() -> None:
    assert "teacher" not in msgspec.json.encode(recipe()).decode()
    with_one = wanted(DISTILLED, LESSON)
    assert with_one.fingerprint != wanted(DISTILLED, 'teacher = "other"').fingerprint
