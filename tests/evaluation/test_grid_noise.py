"""Entries with integer noise: evaluated in pieces, made again, attacked and challenged."""

import dataclasses
import json
from pathlib import Path

import msgspec
import pytest
from conftest import without_times

from rszoo.attacks import Plan
from rszoo.evaluation import (
    AttackEvaluation,
    AttackEvaluator,
    AttackOptions,
    CertifyOptions,
    Challenge,
    ChallengeOptions,
    Evaluation,
    PredictOptions,
    VotingEvaluator,
)
from rszoo.logs.analysis import audit
from rszoo.logs.format import CertifyProtocol, LogWriter, merge, read_log
from rszoo.publishing.verify import verify

OPTIONS = CertifyOptions(stride=1, n0=10, n=200, alpha=0.001, stop=8)
PLAN = Plan(steps=2, num_noise=2)


@pytest.fixture
def entry(shades: str) -> str:
    """The entry of dark and light images, with grid noise."""
    config = Path(shades.removeprefix("local-dir:")) / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"noise": "grid"}))
    return shades


def run(entry: str, out: Path, *, batch_size: int | None = None, stop_after: int = 99) -> Path:
    with Evaluation(entry, out, OPTIONS, batch_size=batch_size) as evaluation:
        for number, _ in enumerate(evaluation, 1):
            if number == stop_after:
                break
    return out


def test_votes_are_the_same_in_pieces(entry: str, tmp_path: Path) -> None:
    whole = run(entry, tmp_path / "whole.tsv")
    assert without_times(run(entry, tmp_path / "small.tsv", batch_size=7)) == without_times(whole)
    resumed = run(entry, tmp_path / "resumed.tsv", stop_after=3)
    assert len(read_log(resumed).records) == 3
    assert without_times(run(entry, resumed)) == without_times(whole)
    for number in (1, 2):
        options = dataclasses.replace(OPTIONS, shard=(number, 2))
        with Evaluation(entry, tmp_path / f"{number}.tsv", options) as evaluation:
            list(evaluation)
    merged = tmp_path / "merged.tsv"
    merge([tmp_path / "1.tsv", tmp_path / "2.tsv"], merged)
    assert without_times(merged) == without_times(whole)
    protocol = read_log(whole).protocol
    assert isinstance(protocol, CertifyProtocol)
    assert (protocol.noise, protocol.stream) == ("grid", 2)
    assert audit(read_log(whole)) == []


def test_a_log_of_the_first_stream_is_read_audited_and_made_again(
    entry: str, tmp_path: Path
) -> None:
    folder = Path(entry.removeprefix("local-dir:"))
    with Evaluation(entry, tmp_path / "new.tsv", OPTIONS) as evaluation:
        protocol = msgspec.structs.replace(evaluation.protocol, stream=1)
        made = evaluation.evaluator
        old = VotingEvaluator(protocol, made.classifier, made.images)
        records = [line for lines in old.records(list(protocol.indices)) for line in lines]
    with LogWriter(folder / "certify.tsv", protocol) as log:
        for record in records:
            log.append([record])
    assert audit(read_log(folder / "certify.tsv")) == []
    findings = {check.name: check for check in verify(entry)}
    assert findings["certify.tsv"].outcome == "ok"
    assert "the same votes" in findings["certify.tsv, again"].finding
    new = [line for lines in made.records(list(protocol.indices)) for line in lines]
    assert [record.votes for record in new] != [record.votes for record in records]


def test_an_attack_of_the_first_stream_is_judged_on_it_again(entry: str, tmp_path: Path) -> None:
    options = AttackOptions(plan=PLAN, eps=(0.2,), n=200, stride=1, stop=8)
    with AttackEvaluation(entry, tmp_path / "new.tsv", options) as evaluation:
        protocol = msgspec.structs.replace(evaluation.protocol, stream=1)
        made = evaluation.evaluator
    old = AttackEvaluator(protocol, made.classifier, made.images)
    judged = [lines[0].votes for lines in old.records(list(protocol.indices))]
    assert judged != [lines[0].votes for lines in made.records(list(protocol.indices))]
    predictions = PredictOptions(n=200, stride=1, stop=8)
    with Evaluation(entry, tmp_path / "predict.tsv", predictions) as evaluation_of_votes:
        clean = msgspec.structs.replace(evaluation_of_votes.protocol, stream=1)
    votes = VotingEvaluator(clean, made.classifier, made.images)
    assert judged == [lines[0].votes for lines in votes.records(list(clean.indices))]


def test_a_grid_entry_is_attacked_and_challenged(entry: str, tmp_path: Path) -> None:
    options = AttackOptions(plan=PLAN, eps=(0.2,), n=20, stride=1, stop=4)
    with AttackEvaluation(entry, tmp_path / "attack.tsv", options) as evaluation:
        lines = [line for lines in evaluation for line in lines]
    assert all(line.l2 is not None and line.l2 <= (line.eps or 0) for line in lines)
    assert audit(read_log(tmp_path / "attack.tsv")) == []
    log = run(entry, tmp_path / "log.tsv")
    challenge = Challenge(log, ChallengeOptions(plan=PLAN, n=20), name=entry)
    returned = [[each.prediction.label for each in found] for found in challenge]
    assert not any(row.refutes for row in challenge.report(returned))
