"""The audit finds each planted fault, and none in a log without."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.synthetic_logs import (
    GRID_NOISE,
    adaptive_records,
    certify_protocol,
    certify_records,
    changed,
    predict_protocol,
    predict_records,
    write,
    write_published,
)

from rszoo.bounds import BOUNDS, looks
from rszoo.logs.analysis import audit
from rszoo.logs.format import AnyProtocol, Given, Log, Record, read_log

CERTIFY = certify_protocol()
GIVEN = Given(sigma=0.25, n=1000, alpha=0.001)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return certify_records(CERTIFY)


def findings(log: Log) -> list[str]:
    return [f"{finding.severity}: {finding.sentence}" for finding in audit(log)]


def only(log: Log) -> str:
    """The only error."""
    (found,) = [finding.sentence for finding in audit(log) if finding.severity == "error"]
    return found


def certified(records: list[Record]) -> int:
    """The place of a record with a radius."""
    return next(
        place
        for place, record in enumerate(records)
        if record.correct and (record.radius or 0) > 0.2
    )


@pytest.mark.parametrize("noise", [{}, GRID_NOISE], ids=["float", "grid"])
@pytest.mark.parametrize("bound", BOUNDS)
def test_a_sound_log_has_no_findings(tmp_path: Path, bound: str, noise: dict[str, object]) -> None:
    protocol = certify_protocol(bound=bound, **noise)
    assert findings(write(tmp_path / "log", protocol, certify_records(protocol))) == []


@pytest.mark.parametrize("noise", [{}, GRID_NOISE], ids=["float", "grid"])
def test_a_sound_log_of_predict_has_no_findings(tmp_path: Path, noise: dict[str, object]) -> None:
    protocol = predict_protocol(**noise)
    assert findings(write(tmp_path / "log", protocol, predict_records(protocol))) == []


def test_what_grid_noise_takes_off_alpha_is_counted(tmp_path: Path, records: list[Record]) -> None:
    assert "larger than the votes allow" in only(
        write(tmp_path / "log", certify_protocol(**GRID_NOISE), records)
    )
    lines = adaptive_records(SEQUENTIAL)
    assert only(
        write(
            tmp_path / "radii",
            certify_protocol(radii=RADII, correct_only=True, **GRID_NOISE),
            lines,
        )
    )


def test_votes_of_predict_are_of_one_stream(tmp_path: Path) -> None:
    protocol = predict_protocol()
    lines = predict_records(protocol)
    other = (lines[0].label + 1) % 4
    planted = [
        replace(lines[0], votes={other: 50}, selected=other, predict=other, correct=False),
        *lines[1:],
    ]
    planted[1] = replace(
        lines[1],
        votes={lines[0].label: 400},
        selected=lines[0].label,
        predict=lines[0].label,
        correct=True,
    )
    found = only(write(tmp_path / "log", protocol, planted))
    assert (
        found
        == "The votes of a smaller n are not among those of a larger one: 1 images, the first is 0."
    )


def test_missing_images(tmp_path: Path, records: list[Record]) -> None:
    cut = write(tmp_path / "cut", CERTIFY, records[:30])
    assert (
        only(cut) == "10 images (300, 310, 320, 330, 340, ...) of 40 have too few lines: "
        "the evaluation is not finished."
    )
    assert only(write(tmp_path / "hole", CERTIFY, records[:5] + records[7:])) == (
        "2 images (50, 60) of 40 have too few lines: lines are gone."
    )
    assert "40 images" in only(write(tmp_path / "none", CERTIFY, []))


def test_repeated_foreign_and_disordered_images(tmp_path: Path, records: list[Record]) -> None:
    twice = write(tmp_path / "twice", CERTIFY, [*records, records[3]])
    assert only(twice) == "1 images (30) are there more often than they should."
    foreign = write(tmp_path / "foreign", CERTIFY, [*records, replace(records[3], idx=31)])
    assert only(foreign) == "1 images (31) are not among those of the protocol."
    assert findings(write(tmp_path / "order", CERTIFY, records[::-1])) == [
        "note: The images are in another order than the protocol's."
    ]


def test_a_radius_above_what_the_votes_allow(tmp_path: Path, records: list[Record]) -> None:
    place = certified(records)
    raised = changed(records, place, radius=(records[place].radius or 0) + 1e-5)
    expected = (
        f"The radius is larger than the votes allow: 1 images, the first is {records[place].idx}."
    )
    assert only(write(tmp_path / "log", CERTIFY, raised)) == expected


def test_a_radius_below_is_a_note(tmp_path: Path, records: list[Record]) -> None:
    place = certified(records)
    lowered = changed(records, place, radius=(records[place].radius or 0) * 0.99)
    (found,) = findings(write(tmp_path / "log", CERTIFY, lowered))
    assert found.startswith("note: The radius is smaller than the votes allow")


def test_a_radius_of_another_bound_or_alpha(tmp_path: Path) -> None:
    joint = certify_records(certify_protocol(bound="joint"))
    assert "larger than the votes allow" in only(write(tmp_path / "bound", CERTIFY, joint))
    loose = certify_records(certify_protocol(alpha=0.01))
    errors = [
        finding
        for finding in findings(write(tmp_path / "alpha", CERTIFY, loose))
        if finding.startswith("error")
    ]
    assert any("larger than the votes allow" in error for error in errors)


def test_a_radius_above_the_ceiling(tmp_path: Path, records: list[Record]) -> None:
    place = certified(records)
    log = write(tmp_path / "log", CERTIFY, changed(records, place, radius=0.7))
    assert any(
        f"1 images ({records[place].idx}) have radii above 0.6158" in found
        for found in findings(log)
    )


def test_predict_and_abstain_against_the_votes(tmp_path: Path, records: list[Record]) -> None:
    place = certified(records)
    other = (records[place].predict + 1) % 4
    wrong = changed(records, place, predict=other, correct=False)
    assert "not the one that was put to the test" in only(write(tmp_path / "other", CERTIFY, wrong))
    silent = changed(records, place, predict=-1, correct=False, radius=0.0)
    assert "abstains although the votes allow a radius" in only(
        write(tmp_path / "silent", CERTIFY, silent)
    )
    quiet = next(place for place, record in enumerate(records) if record.predict == -1)
    loud = changed(
        records,
        quiet,
        predict=records[quiet].selected,
        correct=records[quiet].selected == records[quiet].label,
    )
    assert "larger than the votes allow" in only(write(tmp_path / "loud", CERTIFY, loud))


def test_votes_that_are_not_n(tmp_path: Path, records: list[Record]) -> None:
    votes = {label: 2 * count for label, count in records[0].votes.items()}
    log = write(tmp_path / "log", CERTIFY, changed(records, 0, votes=votes))
    assert only(log) == "The number of votes is not n = 1000: 1 images, the first is 0."


def test_votes_for_a_class_that_is_none(tmp_path: Path, records: list[Record]) -> None:
    votes = {**records[0].votes, 7: 1}
    assert "votes for classes above 3" in only(
        write(tmp_path / "log", CERTIFY, changed(records, 0, votes=votes))
    )


@pytest.mark.parametrize("protocol", [CERTIFY, predict_protocol()], ids=["certify", "predict"])
def test_correct_against_label(
    tmp_path: Path, protocol: AnyProtocol, records: list[Record]
) -> None:
    lines = records if protocol is CERTIFY else predict_records(predict_protocol())
    log = write(tmp_path / "log", protocol, changed(lines, 2, correct=not lines[2].correct))
    assert only(log) == (
        f"1 images ({lines[2].idx}) are called correct although label and predict differ, "
        "or the reverse."
    )


def test_predict_lines_against_their_votes(tmp_path: Path) -> None:
    protocol = predict_protocol()
    lines = predict_records(protocol)
    clear = next(place for place, record in enumerate(lines) if record.predict != -1)
    close = next(place for place, record in enumerate(lines) if record.predict == -1)
    plants = {
        "abstains although the vote is clear": changed(lines, clear, predict=-1, correct=False),
        "although the vote is too close": changed(
            lines,
            close,
            predict=lines[close].selected,
            correct=lines[close].selected == lines[close].label,
        ),
        "not the line's among n = 50, 400": changed(lines, 0, votes={0: 49}, selected=0),
        "not the one with the most votes": changed(
            lines, clear, selected=(lines[clear].predict + 1) % 4, predict=-1, correct=False
        ),
    }
    for number, (words, planted) in enumerate(plants.items()):
        assert words in only(write(tmp_path / str(number), protocol, planted))


def test_a_sound_published_file_has_notes_only(tmp_path: Path, records: list[Record]) -> None:
    found = findings(write_published(tmp_path / "sigma_0.25", records, Given(n=1000)))
    assert [each.split(":")[0] for each in found] == ["note"] * 3
    assert "There are 40 images, from 0 to 390 at a stride of 10." in found[0]
    assert "Radii have 3 significant digits" in found[1]
    assert "Sigma = 0.25 was read from the file's name" in found[2]
    assert not any(
        "was read" in each
        for each in findings(write_published(tmp_path / "sigma_0.5", records, GIVEN))
    )
    assert "Sigma is not known" in findings(write_published(tmp_path / "log", records))[-1]


def test_an_alpha_that_does_not_fit(tmp_path: Path) -> None:
    protocol = certify_protocol(alpha=0.01)
    records = certify_records(protocol)
    unanimous = changed(records, 0, radius=0.651, predict=records[0].label, correct=True)
    log = write_published(tmp_path / "log", unanimous, GIVEN)
    assert "above 0.6158" in only(log)
    assert "alpha = 0.01 explains the largest, 0.651." in only(log)
    looser = read_log(log.path, replace(GIVEN, alpha=0.01))
    assert not [found for found in findings(looser) if found.startswith("error")]


def test_holes_and_repetitions_in_a_published_file(tmp_path: Path, records: list[Record]) -> None:
    assert "2 images (50, 60) are missing at a stride of 10." in only(
        write_published(tmp_path / "a", records[:5] + records[7:], GIVEN)
    )
    assert "1 images (30) are there more than once." in only(
        write_published(tmp_path / "b", [*records, records[3]], GIVEN)
    )
    odd = [*records, replace(records[3], idx=384)]
    assert "1 images (384) do not fit a stride of 10." in only(
        write_published(tmp_path / "c", odd, GIVEN)
    )
    folder = tmp_path / "cifar10" / "test"
    folder.mkdir(parents=True)
    expected = "There are 40 of the 1000 images at a stride of 10, from 0 to 390 of 10000."
    assert only(write_published(folder / "log", records, GIVEN)) == expected
    cut = [replace(record, idx=record.idx + 9600) for record in records[2:]]
    expected = "There are 38 of the 1000 images at a stride of 10, from 9620 to 9990 of 10000."
    assert only(write_published(folder / "first", cut, GIVEN)) == expected


def test_contradictions_in_a_published_file(tmp_path: Path, records: list[Record]) -> None:
    place = certified(records)
    abstains = changed(records, place, predict=-1, correct=False)
    assert "abstain and have a radius above 0" in only(
        write_published(tmp_path / "a", abstains, GIVEN)
    )
    for radius in (-0.1, float("nan")):
        log = write_published(tmp_path / "b", changed(records, place, radius=radius), GIVEN)
        assert "negative or no number" in only(log)


def test_an_empty_published_file(tmp_path: Path) -> None:
    assert only(write_published(tmp_path / "none", [])) == "There are no results."


RADII = (0.0, 0.1, 0.2, 0.3)
SEQUENTIAL = certify_protocol(radii=RADII, correct_only=True)


@pytest.fixture(scope="module")
def tested() -> list[Record]:
    return adaptive_records(SEQUENTIAL)


@pytest.mark.parametrize("noise", [{}, GRID_NOISE], ids=["float", "grid"])
@pytest.mark.parametrize(
    "rule",
    [
        {"radii": RADII},
        {"radii": RADII, "power": 0.05},
        {"radii": (1 / 7, 64 / 255)},
        {"radii": RADII, "correct_only": True},
        {"tolerance": 0.05},
    ],
    ids=["radii", "power", "radii of many digits", "correct only", "tolerance"],
)
def test_sound_logs_with_as_many_samples_as_needed_have_no_findings(
    tmp_path: Path, rule: dict[str, object], noise: dict[str, object]
) -> None:
    protocol = certify_protocol(**noise, **rule)
    lines = adaptive_records(protocol)
    assert len({record.n for record in lines}) > 2
    assert findings(write(tmp_path / "log", protocol, lines)) == []


def test_a_sequential_line_against_its_path(tmp_path: Path, tested: list[Record]) -> None:
    middle = next(
        place for place, record in enumerate(tested) if record.correct and record.radius == 0.2
    )
    early = next(
        place
        for place, record in enumerate(tested)
        if record.radius == 0.3 and len(record.path or ()) > 2
    )
    image = tested[middle]
    path, selected = image.path or (), image.selected
    assert len(path) > 3
    open_path, open_votes = (24,), {tested[early].label: 24, (tested[early].label + 1) % 4: 8}
    down = (*path[:-2], path[-1] + 1, path[-1])
    sure, short = next(
        (i, each.path)
        for i, each in enumerate(tested)
        if each.radius == 0.3 and each.path and each.n < 500
    )
    before, after = looks(1000)[len(short) - 1 :][:2]
    longer: dict[str, Any] = {"path": (*short, short[-1] + after - before)}
    longer["votes"] = {**tested[sure].votes, tested[sure].label: longer["path"][-1]}
    plants = {
        "larger than the path allows": changed(tested, middle, radius=0.3),
        "smaller than the path allows": changed(tested, middle, radius=0.1),
        "not one that was tested": changed(tested, middle, radius=0.15),
        "not that of the last look": changed(tested, middle, path=path[:-1]),
        "does not end in the votes": changed(tested, middle, path=(*path[:-1], path[-1] - 1)),
        "path is impossible": changed(tested, middle, path=down),
        "stopped before it was settled": changed(
            tested, early, path=open_path, votes=open_votes, predict=-1, radius=0.0, correct=False
        ),
        "went on after it was settled": changed(tested, sure, **longer),
    }
    for number, (words, planted) in enumerate(plants.items()):
        assert words in only(write(tmp_path / str(number), SEQUENTIAL, planted)), words
    other = changed(tested, middle, predict=(selected + 1) % 4, correct=False)
    assert "not the one under test" in only(write(tmp_path / "other", SEQUENTIAL, other))


def test_a_path_of_another_power(tmp_path: Path) -> None:
    """When a radius is given up is part of the protocol: another log ends too early or too late."""
    never, soon = certify_protocol(radii=RADII), certify_protocol(radii=RADII, power=0.2)
    early = findings(write(tmp_path / "early", never, adaptive_records(soon)))
    late = findings(write(tmp_path / "late", soon, adaptive_records(never)))
    assert early
    assert all("stopped before it was settled" in each for each in early)
    assert late
    assert all("went on after it was settled" in each for each in late)


def test_a_path_of_another_n(tmp_path: Path, tested: list[Record]) -> None:
    """The looks, and so the critical values, depend on n."""
    assert looks(1000)[-1] not in looks(1200)
    found = findings(
        write(tmp_path / "log", certify_protocol(radii=RADII, correct_only=True, n=1200), tested)
    )
    assert any(
        "not that of the last look" in each or "before it was settled" in each for each in found
    )


def test_images_without_votes(tmp_path: Path, tested: list[Record]) -> None:
    skipped = next(place for place, record in enumerate(tested) if not record.n)
    estimated = next(place for place, record in enumerate(tested) if record.n)
    label = tested[skipped].label
    assert "although the true class was selected" in only(
        write(tmp_path / "a", SEQUENTIAL, changed(tested, skipped, selected=label))
    )
    loud = changed(tested, skipped, predict=tested[skipped].selected)
    assert "a class or a radius without votes" in only(write(tmp_path / "b", SEQUENTIAL, loud))
    whole = certify_protocol(radii=RADII)
    lines = changed(
        adaptive_records(whole), estimated, votes={}, path=(), predict=-1, radius=0.0, correct=False
    )
    assert "not that of the last look" in only(write(tmp_path / "c", whole, lines))


def test_the_number_of_votes_with_a_tolerance(tmp_path: Path) -> None:
    protocol = certify_protocol(tolerance=0.05)
    lines = adaptive_records(protocol)
    many, few = {lines[0].selected: 1001}, {lines[0].selected: 5}
    silent = {"predict": -1, "radius": 0.0, "correct": False}
    assert "is not n = 1000" in only(
        write(tmp_path / "many", protocol, changed(lines, 0, votes=many, **silent))
    )
    assert "too small to certify" in only(
        write(tmp_path / "few", protocol, changed(lines, 0, votes=few, **silent))
    )


def test_votes_of_an_image_that_was_to_be_skipped_an_n_that_certifies_nothing_and_foreign_labels(
    tmp_path: Path, tested: list[Record]
) -> None:
    skipped = next(place for place, record in enumerate(tested) if not record.n)
    lines = changed(tested, skipped, votes={tested[skipped].selected: 32}, path=(32,))
    assert "although the true class was not selected" in only(
        write(tmp_path / "a", SEQUENTIAL, lines)
    )
    assert "n = 9 is too small to certify" in str(
        findings(write(tmp_path / "n", certify_protocol(radii=RADII, n=9), tested))
    )
    assert "The true class is above 3" in only(
        write(tmp_path / "b", SEQUENTIAL, changed(tested, skipped, label=99))
    )
