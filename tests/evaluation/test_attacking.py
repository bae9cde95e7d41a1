"""Attacks on data sets: their logs, the known closest point of a half-space, challenges."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import RECIPE, HalfSpace, without_times
from torch import Tensor

import rszoo
from rszoo.architectures import NormalizedNetwork
from rszoo.attacks import Plan
from rszoo.bounds import surprise
from rszoo.data.datasets import open_images
from rszoo.evaluation import (
    Attacker,
    AttackEvaluation,
    AttackOptions,
    CertifyOptions,
    Challenge,
    ChallengeOptions,
    Evaluation,
    PredictOptions,
    Target,
    attack,
    challenge,
    tally,
)
from rszoo.logs.analysis import audit, empirical_rows
from rszoo.logs.format import AttackProtocol, merge, read_log
from rszoo.smoothing.certificate import ABSTAIN
from rszoo.smoothing.form import AttackedForm, VotingForm

PLAN = Plan(steps=2, num_noise=3)
OPTIONS = {
    "eps": (0.25, 0.5),
    "n": 20,
    "stride": 1,
    "stop": 10,
    "attack_batch": 24,
}  # batches of 4, 4 and 2 images
FLOAT, GRID = "float", "grid"


def run(
    name: str,
    out: Path,
    *,
    batch_size: int | None = None,
    save_images: Path | None = None,
    **options: object,
) -> list[list[str]]:
    chosen = AttackOptions(**{"plan": PLAN, **OPTIONS, **options})  # type: ignore[arg-type]
    with AttackEvaluation(
        name, out, chosen, batch_size=batch_size, save_images=save_images
    ) as evaluation:
        for _ in evaluation:
            pass
    return without_times(out)


def smoothed(half_space: HalfSpace, noise: str = FLOAT) -> rszoo.SmoothedClassifier:
    return rszoo.smooth(half_space, sigma=0.1, num_classes=2, input_shape=(1, 2, 2), noise=noise)


def targets(half_space: HalfSpace, *factors: float) -> list[Target]:
    """8-bit images away from the sides of the box; distances are multiples of the true radius."""
    generator = torch.Generator().manual_seed(3)
    images = (100 + torch.randint(56, (12, 1, 2, 2), generator=generator)) / 255
    found = []
    for number, x in enumerate(images):
        if (radius := half_space.radius(x)) > 0.03:
            found.append(
                Target(str(number), x, half_space.label(x), [factor * radius for factor in factors])
            )
    assert len(found) >= 6
    return found


def labels(found: Sequence[Sequence[object]], place: int) -> list[int]:
    return [each[place].prediction.label for each in found]  # type: ignore[attr-defined]


def test_the_log_does_not_depend_on_batch_size_shards_or_cuts(shades: str, tmp_path: Path) -> None:
    whole = run(shades, tmp_path / "whole.tsv")
    assert len(whole) == 1 + 10 * 3
    assert run(shades, tmp_path / "small.tsv", batch_size=7) == whole
    paths = [tmp_path / "1.tsv", tmp_path / "2.tsv"]
    for number, path in enumerate(paths, 1):
        run(shades, path, shard=(number, 2))
    merge(paths, tmp_path / "merged.tsv")
    assert without_times(tmp_path / "merged.tsv") == whole
    content = (tmp_path / "whole.tsv").read_bytes()
    for share in (0.4, 0.7):  # within a line, and within a batch
        (tmp_path / "cut.tsv").write_bytes(content[: int(share * len(content))])
        assert run(shades, tmp_path / "cut.tsv") == whole


def test_the_lines_say_what_was_found(shades: str, tmp_path: Path) -> None:
    run(shades, tmp_path / "log.tsv")
    options = PredictOptions(n=20, stride=1, stop=10)
    with Evaluation(shades, tmp_path / "predict.tsv", options) as evaluation:
        clean = [records[0] for records in evaluation]
    log = read_log(tmp_path / "log.tsv")
    assert isinstance(log.protocol, AttackProtocol)
    assert [each.votes for each in log.records[::3]] == [each.votes for each in clean]
    assert [each.eps for each in log.records] == [0.0, 0.25, 0.5] * 10
    attacker = Attacker(rszoo.load(shades), PLAN, batch=24)
    images = open_images("shades", "test")
    batch = [
        Target(str(idx), images.pixels(idx) / 255, int(images.labels[idx]), (0.0, 0.25, 0.5))
        for idx in range(4)
    ]
    for found, first in zip(
        attack(attacker, [batch], n=20, alpha=0.001), range(0, 12, 3), strict=True
    ):
        for each, record in zip(found, log.records[first : first + 3], strict=True):
            assert record.counts(2) == list(each.prediction.counts)
            assert record.predict == each.prediction.label
            assert record.l2 is not None
            assert each.l2 <= record.l2 < each.l2 + 1e-6
            assert each.l2 <= each.eps
    assert audit(log) == []
    (tmp_path / "log.tsv").write_bytes(
        (tmp_path / "log.tsv").read_bytes().replace(b"\t0.25\t0.", b"\t0.25\t1.", 1)
    )
    assert "farther than eps = 0.25: 1 images" in audit(read_log(tmp_path / "log.tsv"))[0].sentence


def test_abstentions_are_counted_apart(shades: str, tmp_path: Path) -> None:
    """Of 11 votes only unanimous ones are a prediction at alpha = 0.001."""
    run(shades, tmp_path / "log.tsv", n=11)
    log = read_log(tmp_path / "log.tsv")
    (row,) = empirical_rows([log], [0.0, 0.25, 0.3])
    for place, eps in enumerate((0.0, 0.25)):
        lines = [each for each in log.records if each.eps == eps]
        unanimous = [each for each in lines if max(each.counts(2)) == 11]
        assert row.abstentions[place] == pytest.approx(1 - len(unanimous) / 10)
        assert row.accuracies[place] == sum(each.selected == each.label for each in unanimous) / 10
    assert (row.accuracies[2], row.abstentions[2]) == (None, None)
    assert any(row.abstentions[:2])


@pytest.mark.parametrize("plan", [
    Plan(steps=20),
    Plan("stein", steps=20, num_noise=500),
    Plan("naive", steps=20, redraw=True),
    Plan("pgd", steps=20, num_noise=0),
    Plan(steps=20, targeted=True, restarts=2, random_start=True, box=False),
], ids=lambda plan: plan.attack)  # fmt: skip
@pytest.mark.slow
def test_a_half_space_is_left_just_beyond_its_distance_and_never_within(
    half_space: HalfSpace, plan: Plan
) -> None:
    attacker = Attacker(smoothed(half_space), plan)
    chosen = targets(half_space, 0.9, 1.15)
    found = list(attack(attacker, [chosen[:5], chosen[5:]], n=20_000, alpha=0.001))
    assert labels(found, 0) == [each.label for each in chosen]
    assert labels(found, 1) == [1 - each.label for each in chosen]


@pytest.mark.slow
def test_ddn_stops_at_the_distance_of_a_half_space_where_predict_abstains(
    half_space: HalfSpace,
) -> None:
    attacker = Attacker(smoothed(half_space), Plan("smoothadv-ddn", steps=60, num_noise=1000))
    chosen = targets(half_space, 0.9, 1.15)
    found = list(attack(attacker, [chosen], n=500, alpha=0.001))
    assert 1 - chosen[0].label not in labels(found, 0), "all have one label"
    assert labels(found, 1).count(ABSTAIN) > len(chosen) / 2
    assert chosen[0].label not in labels(found, 1)
    assert all(
        0.95 < line[1].l2 / half_space.radius(each.x) < 1.15
        for line, each in zip(found, chosen, strict=True)
    )


@pytest.mark.parametrize("noise", [FLOAT, GRID])
def test_adversarial_images_are_within_their_distance_exactly(
    half_space: HalfSpace, noise: str
) -> None:
    attacker = Attacker(smoothed(half_space, noise), Plan(steps=5, num_noise=4, random_start=True))
    chosen = targets(half_space, 1e-9, 0.1, 1.0, 1.7)
    for found, target in zip(attack(attacker, [chosen], n=20, alpha=0.001), chosen, strict=True):
        for each in found:
            delta = each.image.double() - target.x.double()
            if noise == GRID:
                assert (each.image * 255 - (each.image * 255).round()).abs().max() < 1e-4
                delta = (delta * 255).round() / 255
            assert float(delta.norm()) <= each.eps
        assert found[3].l2 > (0.9 if noise == FLOAT else 0.7) * found[3].eps


def test_true_certificates_stand_and_planted_ones_fall(half_space: HalfSpace) -> None:
    attacker, chosen = (
        Attacker(smoothed(half_space), Plan(steps=10, num_noise=4)),
        targets(half_space, 1.0),
    )
    certified = {each.key: each.label for each in chosen}

    def tested(certificates: list[Target]) -> list[Any]:
        found = list(
            challenge(attacker, certificates, factors=(0.6, 1.0, 2.0), n=2000, alpha=0.001)
        )
        returned = [[each.prediction.label for each in line] for line in found]
        return tally(certified, returned, factors=(0.6, 1.0, 2.0), images=12, alpha=0.002)

    inside, at, beyond = tested(chosen)
    assert (len(inside.succeeded), len(at.succeeded), at.refutes) == (0, 0, False)
    assert (len(beyond.succeeded), beyond.probability) == (len(chosen), None)
    planted = tested(targets(half_space, 2.0))
    assert [row.refutes for row in planted] == [True, True, False]
    assert list(planted[1].succeeded) == list(certified)


def test_what_chance_explains_refutes_nothing() -> None:
    certified = dict.fromkeys(map(str, range(100)), 1)
    returned = [[1]] * 96 + [[ABSTAIN]] * 3 + [[0]]
    (row,) = tally(certified, returned, factors=[1.0], images=150, alpha=0.002)
    assert (row.attacked, row.succeeded, row.abstained, row.refutes) == (100, ["99"], 3, False)
    assert row.probability == pytest.approx(1 - 0.998**150)
    assert surprise(3, 150, alpha=0.002) == pytest.approx(0.00350, abs=1e-4)
    assert tally(certified, returned[:-3] + [[0]] * 3, factors=[1.0], images=20, alpha=0.002)[
        0
    ].refutes


def test_a_bfloat16_form_is_attacked_with_its_weights_in_float32(
    network: NormalizedNetwork,
) -> None:
    x = torch.rand(3, 3, 32, 32, requires_grad=True)
    form = VotingForm(network, "bfloat16", (3, 32, 32), torch.device("cpu"))
    attacked = AttackedForm(form)
    logits = attacked(x)
    logits.sum().backward()
    assert isinstance(x.grad, Tensor)
    assert bool(x.grad.isfinite().all())
    assert logits.dtype == torch.float32
    assert not any(each.requires_grad for each in attacked.parameters())
    assert all(
        torch.equal(a, b.float())
        for a, b in zip(attacked.parameters(), form.parameters(), strict=True)
    )
    assert form.dtype == torch.bfloat16


@pytest.mark.skipif(RECIPE not in rszoo.list_models(), reason="the entry has no weights here")
@pytest.mark.slow
def test_no_attack_succeeds_within_the_radii_of_a_real_entry(cifar10: Path, tmp_path: Path) -> None:
    options = CertifyOptions(stride=1000, n=1000, stop=4001)
    with Evaluation(RECIPE, tmp_path / "log.tsv", options) as evaluation:
        assert sum(1 for _ in evaluation) == 5
    test = Challenge(
        tmp_path / "log.tsv",
        ChallengeOptions(plan=Plan(steps=8, num_noise=12), factors=(1.0, 4.0)),
    )
    returned = [[line.prediction.label for line in lines] for lines in test]
    assert 3 <= len(returned) == len(test) <= 5
    at, beyond = test.report(returned)
    assert len(at.succeeded) == 0
    assert len(beyond.succeeded) >= len(test) / 2, "the same attack is strong"


@pytest.mark.parametrize(
    ("plan", "options", "message"),
    [
        ({}, {"eps": (0.5, 0.25)}, "Expected ascending eps > 0"),
        ({}, {"eps": (0.0, 0.25)}, "Expected ascending eps > 0"),
        ({}, {"eps": ()}, r"Expected ascending eps > 0 .* got \[\]"),
        ({}, {"n": 5}, "got n=5; use n >= 11"),
        ({}, {"attack_batch": 0}, r"Expected `int` >= 1 - at `\$.attack_batch`; got 0"),
        (
            {},
            {"shard": (11, 11)},
            "Expected images in each shard, got none for .*; make fewer shards",
        ),
        ({}, {"save_images": Path(__file__)}, "File exists: .*test_attacking.py"),
        ({}, {"save_images": Path("/no/where")}, "No such file or directory: .*/no/where"),
        ({"attack": "fgsm"}, {}, "Unknown attack 'fgsm'"),
        ({"steps": 0}, {}, "Expected steps >= 1"),
        ({"attack": "stein", "num_noise": 1}, {}, "Expected num_noise >= 2 for stein"),
        ({"attack": "pgd"}, {}, "Expected num_noise=0"),
        ({"attack": "smoothadv-ddn", "restarts": 2}, {}, "Expected no restarts for smoothadv-ddn"),
    ],
)
def test_bad_options_are_one_sentence_and_make_no_log(
    shades: str, tmp_path: Path, plan: dict[str, object], options: dict[str, object], message: str
) -> None:
    with pytest.raises((ValueError, FileNotFoundError, FileExistsError), match=message):
        run(shades, tmp_path / "log.tsv", plan=Plan(**plan), **options)  # type: ignore[arg-type]
    assert not (tmp_path / "log.tsv").exists()
