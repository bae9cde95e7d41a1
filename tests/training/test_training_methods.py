"""Training by every method on real images, and the first steps of every recipe."""

import json
from pathlib import Path

import msgspec
import pytest
import torch
from support.method_tables import TABLES
from support.training_runs import CPU, losses, recipe

import rszoo
import rszoo.data.datasets
import rszoo.training.data
from rszoo.data.datasets import Labelled, get_dataset, load_images
from rszoo.recipe import Recipe, load_recipe, recipe_names
from rszoo.training import start, train
from rszoo.training.data import TrainingData, augmented
from rszoo.training.step import take_step


@pytest.fixture(scope="module")
def splits(cifar10: Path) -> dict[str, Labelled]:
    """500 training and 500 test images of the real CIFAR-10."""
    whole = {split: load_images("cifar10", split) for split in ("train", "test")}
    return {split: (images[:500], labels[:500]) for split, (images, labels) in whole.items()}


@pytest.fixture
def subset(splits: dict[str, Labelled], monkeypatch: pytest.MonkeyPatch) -> None:
    """CIFAR-10 is these images."""

    def load(name: str, split: str, **options: bool) -> Labelled:
        return splits[split]

    monkeypatch.setattr(rszoo.training.data, "load_images", load)
    monkeypatch.setattr(rszoo.data.datasets, "load_images", load)


CHEAP: dict[str, str] = {
    "smoothed": "m = 2",
    "stability": "lam = 1.0",
    "adversarial": "eps = 0.25\nsteps = 1\nnoisy = true\nwarmup = 0",
    "smoothadv": 'attack = "pgd"\neps = 0.25\nsteps = 1\nm = 1\nm_train = 1\nwarmup = 0',
    "adre": 'k = 2\nlam = 0.2\ndraws = "all"',
    "adreadv": 'k = 1\nlam = 0.2\ndraws = "all"\neps = 0.25\nsteps = 1\nwarmup = 0',
    "macer": "m = 2\nlam = 4.0\ngamma = 8.0\nbeta = 16.0\ndeferred = 0",
    "consistency": "m = 2\nlam = 5.0\neta = 0.5",
    "smoothmix": "m = 1\nsteps = 1\nalpha = 0.5\neta = 1.0\nmix_step = 0\nwarmup = 0",
    "catrs": 'm = 2\nlam = 0.5\neps = 0.25\nsteps = 1\nconfidence = "votes"',
    "reweighted": "m = 1\neps = 0.25\nsteps = 1\nstart = 1\nthreshold = 0.0\nevery = 1\n"
    "votes = 16\nfirst_votes = 16",
    "distilled": "m = 1",
    "gaussian": "",
}
TEACHER = "cifar10-resnet20-gaussian-s0.25"
LESSONS = {
    "catrs": f'teacher = "{TEACHER}"\nteacher_votes = 2',
    "distilled": f'teacher = "{TEACHER}"',
}
BUNDLED = Path(rszoo.__file__).parent / "entries" / TEACHER
CIFAR = {
    '"blobs"': '"cifar10"',
    "batch_size = 16": "batch_size = 50",
    'precision = "float32"\nseed': 'precision = "bfloat16"\nseed',
}


def test_every_method_is_tried_on_real_images() -> None:
    assert CHEAP.keys() == TABLES.keys()


@pytest.mark.usefixtures("subset")
@pytest.mark.parametrize("name", CHEAP)
@pytest.mark.slow
def test_every_method_lowers_its_loss_on_real_images(name: str, tmp_path: Path) -> None:
    method = {'name = "gaussian"': f'name = "{name}"\n{CHEAP[name]}'}
    wanted = recipe(LESSONS.get(name, ""), **method, **CIFAR, **{"epochs = 3": "epochs = 2"})
    train(wanted, tmp_path / "run", device=CPU, teacher=BUNDLED if name in LESSONS else None)
    found = losses(tmp_path / "run")
    assert found[1] < found[0]


@pytest.mark.usefixtures("subset")
@pytest.mark.slow
def test_gaussian_training_beats_training_without_noise(tmp_path: Path) -> None:
    accuracy = {}
    for name, options in (("noise", ""), ("none", "noise_sigma = 0.0")):
        train(
            recipe(options, **CIFAR, **{"epochs = 3": "epochs = 8", "sigma = 0.25": "sigma = 0.5"}),
            tmp_path / name,
            device=CPU,
        )
        line = (tmp_path / name / "log.jsonl").read_text().splitlines()[-1]
        accuracy[name] = json.loads(line)["noisy_test_accuracy"]
    assert accuracy["noise"] > accuracy["none"] + 0.08


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.slow
def test_every_recipe_takes_a_step_on_made_up_data(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = load_recipe(name)
    dataset = get_dataset(found.model.dataset)
    shape = (2, dataset.shape[0], min(dataset.shape[1], 64), min(dataset.shape[2], 64))

    def made_up(recipe: Recipe, device: torch.device, **options: object) -> TrainingData:
        images, labels = torch.randint(0, 256, shape, dtype=torch.uint8), torch.arange(2)
        return TrainingData(
            labels,
            torch.ones(2),
            [(images, labels)],
            "held-out",
            lambda chosen, generator, upcoming: augmented(images[chosen], "flip", generator),
            lambda: "made up",
            lambda: [images],
        )

    monkeypatch.setattr("rszoo.training.run.load_data", made_up)
    training = msgspec.structs.replace(found.training, batch_size=2)
    run = start(msgspec.structs.replace(found, training=training), CPU, random_start=True)
    before = [parameter.clone() for parameter in run.network.parameters()]
    run.network.train()
    assert torch.isfinite(take_step(run))
    take_step(run)
    assert any(
        not torch.equal(old, new) for old, new in zip(before, run.network.parameters(), strict=True)
    )
