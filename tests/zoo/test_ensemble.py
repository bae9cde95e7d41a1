"""Ensembles: one entry of several, whose network is the mean of their logits."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
from conftest import Complaint, shaken
from safetensors.torch import load_file, save_file
from support.commands import run
from torch import Tensor, nn

import rszoo
from rszoo.architectures import build
from rszoo.architectures.ensemble import Ensemble, ensemble_architecture
from rszoo.evaluation import AttackEvaluation, AttackOptions, CertifyOptions, Evaluation
from rszoo.logs.analysis import audit
from rszoo.logs.format import read_log
from rszoo.publishing.cards import render_card
from rszoo.publishing.publish import publish
from rszoo.publishing.verify import Repetition, verify
from rszoo.recipe import Recipe
from rszoo.zoo import registry
from rszoo.zoo.config import Source, read_config, recipe_source, sha256
from rszoo.zoo.entry import write_entry
from rszoo.zoo.registry import Entry, bundled_folder

STATISTICS = [((0.4, 0.5, 0.6), (0.2, 0.25, 0.3)), ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))]
X = torch.arange(3072).remainder(256).div(255).view(3, 32, 32)

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path, recipe: Recipe) -> Make:
    """A function that writes an entry with random weights; its number tells it from others."""

    def write(number: int, architecture: str = "resnet20", **changes: object) -> Path:
        torch.manual_seed(number)
        mean, std = STATISTICS[number % 2]
        network = shaken(build(architecture, num_classes=10, mean=mean, std=std))
        facts = vars(recipe_source(recipe)) | {
            "name": f"member-{number}",
            "architecture": architecture,
            "precision": "float32",
            "noise": "grid",
            "recipe_fingerprint": None,
        }
        folder = tmp_path / f"member-{number}"
        folder.mkdir()
        write_entry(folder, network, Source(**{**facts, **changes}))
        return folder

    return write


@pytest.fixture
def trio(make: Make) -> list[Path]:
    return [make(0), make(1), make(2, "resnet32")]


class ByHand(nn.Module):
    """The mean of the logits that the entries' own classifiers compute."""

    def __init__(self, folders: Sequence[Path]) -> None:
        super().__init__()
        # no submodules: they keep their precision
        self.forms = tuple(rszoo.load(folder).form for folder in folders)

    def forward(self, x: Tensor) -> Tensor:
        logits = [form.logits(x).float() for form in self.forms]
        return sum(logits[1:], start=logits[0]) / len(logits)


def test_the_entry_says_what_went_in(trio: list[Path], tmp_path: Path) -> None:
    config = rszoo.ensemble(trio, tmp_path / "e", variant="small")
    assert config == read_config(tmp_path / "e")
    assert config.name == "cifar10-2xresnet20-resnet32-ensemble-small-s0.25"
    assert (config.architecture, config.method) == ("ensemble/2xresnet20+resnet32", "ensemble")
    assert (config.precision, config.noise, config.license) == ("float32", "grid", "MIT")
    assert (config.mean, config.std, config.sigma) == ([0.0] * 3, [1.0] * 3, 0.25)
    assert json.loads((tmp_path / "e" / "config.json").read_text())["members"] == [
        {"name": folder.name, "config_sha256": sha256(folder / "config.json")} for folder in trio
    ]
    assert "members" not in json.loads((trio[0] / "config.json").read_text())
    tensors = load_file(tmp_path / "e" / "model.safetensors")
    for place, folder in enumerate(trio):
        for name, tensor in load_file(folder / "model.safetensors").items():
            assert torch.equal(tensors[f"network.members.{place}.{name}"], tensor)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_votes_are_those_of_the_mean_logits(make: Make, tmp_path: Path, precision: str) -> None:
    """Bit for bit: each member normalizes, folds and rounds as it does alone."""
    members = [make(0, precision=precision), make(1, precision=precision)]
    rszoo.ensemble(members, tmp_path / "e")
    classifier = rszoo.load(tmp_path / "e")
    form = classifier.form
    assert not [each for each in form.modules() if isinstance(each, nn.BatchNorm2d)]
    noisy = X + 0.25 * torch.randn(64, 3, 32, 32)
    by_hand = ByHand(members)
    with torch.inference_mode():
        assert torch.equal(form.logits(noisy), by_hand(noisy))
    own = rszoo.smooth(by_hand, sigma=0.25, num_classes=10, input_shape=(3, 32, 32))
    one, other = (each.certify(X, n=200, n0=20) for each in (classifier, own))
    assert isinstance(other, rszoo.Certificate)
    assert one == replace(other, precision=precision)


def test_a_vote_does_not_depend_on_the_batch(trio: list[Path], tmp_path: Path) -> None:
    rszoo.ensemble(trio, tmp_path / "e")
    classifier = rszoo.load(tmp_path / "e")
    one, other = (classifier.certify(X, n=150, n0=10, batch_size=size) for size in (7, 64))
    assert one == other


def test_networks_of_one_name_differ_by_their_weights(make: Make, tmp_path: Path) -> None:
    rszoo.ensemble([make(0), make(2)], tmp_path / "e")
    tensors = load_file(tmp_path / "e" / "model.safetensors")
    one, other = (tensors[f"network.members.{place}.network.fc.weight"] for place in (0, 1))
    assert not torch.equal(one, other)


def test_names_of_ensembles() -> None:
    names = ["resnet20", "resnet20", "resnet110", "timm/resnet18"]
    assert ensemble_architecture(names) == "ensemble/2xresnet20+resnet110+timm/resnet18"
    options = {"num_classes": 10, "mean": [0.5] * 3, "std": [0.2] * 3}
    network = build("ensemble/2xresnet20+resnet32", **options).network  # type: ignore[arg-type]
    assert isinstance(network, Ensemble)
    blocks = [len(list(member.network.layer1.children())) for member in network.networks]
    assert blocks == [3, 3, 5]
    for wrong in ("resnet20", "1xresnet20", "0xresnet20", "resnet20+ensemble/2xresnet20"):
        with pytest.raises(ValueError, match="Expected two or more networks in an ensemble"):
            build(f"ensemble/{wrong}", **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Unknown architecture 'resnet21'"):
        build("ensemble/resnet20+resnet21", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"sigma": 0.5}, "entries of one sigma, got 0.25 for member-0 and 0.5 for member-1"),
        ({"dataset": "svhn"}, "entries of one data set, got cifar10 for member-0 and svhn"),
        ({"license": "Apache-2.0"}, "of one license, got MIT and Apache-2.0; pass license to"),
        ({"precision": "bfloat16"}, "of one precision, got float32 and bfloat16; pass precision"),
        ({"noise": "float"}, "members of one noise, got grid and float; pass noise to choose"),
    ],
)
def test_members_that_do_not_fit_are_refused(
    make: Make, tmp_path: Path, change: dict[str, object], fault: str
) -> None:
    with pytest.raises(ValueError, match=f"^Expected .*{fault}"):
        rszoo.ensemble([make(0), make(1, **change)], tmp_path / "e")
    assert not (tmp_path / "e").exists()


def test_members_of_other_classes_are_refused(make: Make, tmp_path: Path) -> None:
    folders = [make(0), make(1)]
    path = folders[1] / "config.json"
    path.write_text(path.read_text().replace('"truck"', '"lorry"'))
    with pytest.raises(ValueError, match=r"of one list of classes, got truck for .* and lorry for"):
        rszoo.ensemble(folders, tmp_path / "e")
    path = folders[0] / "config.json"
    path.write_text(path.read_text().replace('"truck"', '"lorry"'))
    with pytest.raises(ValueError, match=r"^Expected the classes and the shape of cifar10"):
        rszoo.ensemble(folders, tmp_path / "e")


def test_what_members_differ_in_can_be_chosen(make: Make, tmp_path: Path) -> None:
    members = [make(0), make(1, license="ISC", precision="bfloat16", noise="float")]
    config = rszoo.ensemble(
        members, tmp_path / "e", license="MIT AND ISC", precision="bfloat16", noise="grid"
    )
    assert (config.license, config.precision, config.noise) == ("MIT AND ISC", "bfloat16", "grid")
    with pytest.raises(ValueError, match=r"^Expected precision float32 or bfloat16, got 'half'"):
        rszoo.ensemble(members, tmp_path / "f", license="MIT", precision="half", noise="grid")


def test_too_few_and_repeated_members_and_ensembles_are_refused(
    make: Make, tmp_path: Path, complaint: Complaint
) -> None:
    first, second = make(0), make(1)
    with pytest.raises(ValueError, match=r"^Expected two or more entries, got 1; "):
        rszoo.ensemble([first], tmp_path / "e")
    with pytest.raises(ValueError, match=r"^Expected different entries, got the weights of member"):
        rszoo.ensemble([first, second, first], tmp_path / "e")
    rszoo.ensemble([first, second], tmp_path / "e")
    with pytest.raises(
        ValueError, match=r"^Expected entries of one network each, got the ensemble"
    ):
        rszoo.ensemble([tmp_path / "e", first], tmp_path / "f")
    with pytest.raises(ValueError, match=r"^Expected a variant of small letters"):
        rszoo.ensemble([first, second], tmp_path / "f", variant="A B")
    assert "Expected a new or an empty folder" in complaint(
        "ensemble", first, second, "--out", tmp_path / "e"
    )


def test_a_member_cannot_be_exchanged(trio: list[Path], tmp_path: Path) -> None:
    """Loading is strict: another number of networks, or a missing tensor, is an error."""
    rszoo.ensemble(trio, tmp_path / "e")
    path = tmp_path / "e" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "architecture": "ensemble/3xresnet20"}))
    with pytest.raises(rszoo.IntegrityError, match=r"a difference at 'network\.members\.2"):
        rszoo.load(tmp_path / "e")
    path.write_text(json.dumps(config))
    weights = tmp_path / "e" / "model.safetensors"
    tensors = load_file(weights)
    key = "network.members.1.normalize.mean"
    tensors[key] = tensors[key] + 0.5
    weights.unlink()
    save_file(tensors, weights)
    path.write_text(json.dumps({**config, "weights_sha256": sha256(weights)}))
    with pytest.raises(rszoo.IntegrityError, match="Expected the self-test"):
        rszoo.load(tmp_path / "e")


@pytest.fixture
def zoo(trio: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of members that a registry pins and a package holds."""
    package = tmp_path / "package"
    entries = {folder.name: Entry(config_sha256=sha256(folder / "config.json")) for folder in trio}
    for folder in trio:
        shutil.copytree(folder, package / "entries" / folder.name)
    (package / "entries" / "registry.json").write_bytes(msgspec.json.encode(entries))
    monkeypatch.setattr(registry, "PACKAGE", package)
    registry._entries.cache_clear()
    monkeypatch.setattr(registry, "_entries", registry._entries.__wrapped__)
    return list(entries)


def members_check(folder: Path) -> tuple[str, str]:
    (check,) = [check for check in verify(str(folder)) if check.name == "members"]
    return check.outcome, check.finding


@pytest.mark.slow
def test_verify_compares_members_with_those_of_the_zoo(
    zoo: list[str], make: Make, tmp_path: Path
) -> None:
    folder = tmp_path / "e"
    run("ensemble", *zoo, "--out", folder)
    assert members_check(folder) == ("ok", f"the weights are those of {', '.join(zoo)}")
    stranger = make(5)
    rszoo.ensemble([zoo[0], stranger], tmp_path / "mixed")
    assert members_check(tmp_path / "mixed") == (
        "ok",
        "the weights are those of member-0; not here, or with another config.json: member-5",
    )
    rszoo.ensemble([stranger, make(7)], tmp_path / "strange")
    assert members_check(tmp_path / "strange")[0] == "skipped"
    config = json.loads((folder / "config.json").read_text())
    config["members"][:2] = config["members"][1::-1]
    (folder / "config.json").write_text(json.dumps(config))
    outcome, finding = members_check(folder)
    assert (outcome, finding[:42]) == ("failed", "Expected the weights of member-1 as a memb")
    config["members"] = config["members"][:2]
    (folder / "config.json").write_text(json.dumps(config))
    assert members_check(folder)[1].startswith("Expected an ensemble of 2 networks")


def test_show_and_card_name_the_members(trio: list[Path], tmp_path: Path) -> None:
    run("ensemble", *trio, "--out", tmp_path / "e")
    card, shown = render_card(tmp_path / "e", None), run("show", tmp_path / "e").output
    for folder in trio:
        digest = sha256(folder / "config.json")
        assert f"- `{folder.name}` (`{digest}`)\n" in card
        assert f"{folder.name}, config.json sha256 {digest}" in shown
    inside = "Inside, the mean of the logits of 3 networks (`ensemble/2xresnet20+resnet32`) votes"
    assert inside in card
    assert "arXiv 2106.06946" in card
    assert "eprint = {2106.06946}" in card
    assert "not made from a recipe" not in card


@pytest.mark.slow
def test_an_ensemble_is_evaluated_attacked_verified_and_published(
    shades: str, tmp_path: Path
) -> None:
    first = Path(shades.removeprefix("local-dir:"))
    second = tmp_path / "second"
    second.mkdir()
    config = read_config(first)
    network = rszoo.zoo.loading.fetched(shades).network
    with torch.no_grad():
        network.state_dict()["network.fc.weight"].mul_(2)
    source = {key: getattr(config, key) for key in Source.__dataclass_fields__}
    write_entry(second, network, Source(**{**source, "recipe_fingerprint": None}))
    folder = tmp_path / "e"
    rszoo.ensemble([shades, second], folder, noise="grid")
    options = CertifyOptions(stride=4, n0=10, n=200, alpha=0.001)
    with Evaluation(str(folder), folder / "certify.tsv", options) as evaluation:
        assert len(list(evaluation)) == 6
    assert not [each for each in audit(read_log(folder / "certify.tsv")) if each.severity != "note"]
    checks = verify(str(folder), Repetition(2))
    assert {check.name: check.outcome for check in checks} == {
        "files and self-test": "ok",
        "licence": "ok",
        "recipe": "skipped",
        "training": "skipped",
        "members": "skipped",
        "certify.tsv": "ok",
        "certify.tsv, again": "ok",
        "certify-grid.tsv": "skipped",
    }
    attack = AttackOptions(eps=(0.5,), n=20, stride=8)
    with AttackEvaluation(str(folder), tmp_path / "attack.tsv", attack) as evaluation:
        assert len(list(evaluation)) == 3
    publication = publish(str(folder), "someone/shades", dry_run=True, repetition=Repetition(1))
    assert publication.name == "shades-2xresnet20-ensemble-s0.25"
    assert not publication.pins
    assert {file.name for file in publication.files} >= {"config.json", "README.md", "certify.tsv"}


def test_bundled_entries_make_an_ensemble(tmp_path: Path) -> None:
    names = ["cifar10-resnet20-gaussian-s0.25", "cifar10-resnet20-adre-finetuned-s0.25"]
    config = rszoo.ensemble(names, tmp_path / "e")
    assert config.members == [
        type(config.members[0])(  # type: ignore[index]
            name=name, config_sha256=sha256(bundled_folder(name) / "config.json")
        )
        for name in names
    ]
    assert members_check(tmp_path / "e")[0] == "ok"
