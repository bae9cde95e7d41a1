import errno
import json
import os
import random
import re
from pathlib import Path

import msgspec
import pytest
from conftest import disk_of

from rszoo.logs.format import (
    CertifyProtocol,
    Given,
    LogWriter,
    PredictProtocol,
    PublishedProtocol,
    Record,
    merge,
    read_log,
)
from rszoo.logs.format.lines import format_line
from rszoo.logs.format.writer import header

PROTOCOL = CertifyProtocol(
    name="cifar10-resnet20-gaussian-s0.25",
    weights_sha256="0" * 64,
    dataset="cifar10",
    split="test",
    start=0,
    stop=100,
    stride=10,
    shard=None,
    num_classes=10,
    trained_sigma=0.25,
    sigma=0.25,
    noise="float",
    precision="float32",
    alpha=0.001,
    seed=0,
    software="none",
    n0=100,
    n=1000,
    bound="cohen",
)


def record(idx: int, radius: float | None = 0.123456) -> Record:
    generator = random.Random(idx)
    votes = {label: generator.randrange(1, 50) for label in generator.sample(range(10), 4)}
    selected = generator.choice(sorted(votes))
    votes[selected] += 1000 - sum(votes.values())
    return Record(idx, idx % 10, selected, selected == idx % 10, 1.25, radius, selected, votes)


def write(path: Path, protocol: CertifyProtocol = PROTOCOL, *, until: int | None = None) -> bytes:
    with LogWriter(path, protocol) as log:
        for idx in list(log.remaining)[:until]:
            log.append([record(idx)])
    return path.read_bytes()


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    write(tmp_path / "log.tsv")
    log = read_log(tmp_path / "log.tsv")
    assert log.protocol == PROTOCOL
    assert log.records == [record(idx) for idx in range(0, 100, 10)]


def test_the_first_columns_are_those_of_the_published_logs(tmp_path: Path) -> None:
    lines = write(tmp_path / "log.tsv").decode().splitlines()
    assert lines[1].split("\t")[:6] == ["idx", "label", "predict", "radius", "correct", "time"]
    (tmp_path / "published.tsv").write_text(
        "\n".join("\t".join(line.split("\t")[:6]) for line in lines[1:])
    )
    log = read_log(tmp_path / "published.tsv")
    assert log.protocol == PublishedProtocol(
        title="/".join(log.path.parts[-4:]), columns=log.protocol.columns
    )
    assert [each.radius for each in log.records] == [0.123456] * 10
    assert log.records[0].votes == {}


def test_what_is_known_about_a_published_file(tmp_path: Path) -> None:
    """What the user says comes before what the path says."""
    certify, predict = tmp_path / "noise_0.5" / "sigma_0.25", tmp_path / "N_1000"
    certify.parent.mkdir()
    certify.write_text("idx\tlabel\tpredict\tradius\tcorrect\ttime\n")
    predict.write_text("idx\tlabel\tpredict\tcorrect\ttime\n")
    given = Given(sigma=0.5, n=10, alpha=0.01)
    for path, known, facts in (
        (certify, None, (0.25, True, None, None, True)),
        (certify, Given(n=10), (0.25, True, 10, None, True)),
        (certify, given, (0.5, False, 10, 0.01, True)),
        (predict, None, (None, False, 1000, None, False)),
        (predict, given, (0.5, False, 1000, 0.01, False)),
    ):
        log = read_log(path, known)
        protocol = log.protocol
        assert isinstance(protocol, PublishedProtocol)
        said = (protocol.sigma, protocol.sigma_from_path, protocol.n, protocol.alpha)
        assert (*said, log.certifies) == facts
        assert (protocol.bound, protocol.loss, protocol.adaptive) == ("cohen", 0.0, False)
    own = write(tmp_path / "log.tsv")
    assert own
    assert read_log(tmp_path / "log.tsv", given).protocol == PROTOCOL


@pytest.mark.parametrize(
    ("path", "sigma"),
    [
        ("sigma_0.25", 0.25),
        ("noise_0.25.tsv", 0.25),
        ("Noise_1.tsv", 1.0),
        ("noise_0.5/test/log.tsv", 0.5),
        ("noise_0.25/test/sigma_0.5", 0.5),
        ("sigma_0.25/noise_0.5/log.tsv", 0.5),
        ("noise_0.25/sigma_0.25_noise_0.25.tsv", 0.25),
        ("noise_0.25/sigma_0.5_noise_0.25.tsv", None),
        ("sigma_0.25_sigma_0.50/log.tsv", None),
        ("denoise_0.25.tsv", None),
        ("noise_0/log.tsv", None),
    ],
)
def test_the_sigma_of_a_published_file_is_that_of_its_nearest_name(
    tmp_path: Path, path: str, sigma: float | None
) -> None:
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("idx\tlabel\tpredict\tradius\tcorrect\ttime\n")
    protocol = read_log(tmp_path / path).protocol
    assert isinstance(protocol, PublishedProtocol)
    assert (protocol.sigma, protocol.sigma_from_path) == (sigma, sigma is not None)


@pytest.mark.parametrize("radius", [0.1 + 0.2, 0.9999999, 1e-7, 0.123456])
def test_radii_are_rounded_down(radius: float) -> None:
    written = float(format_line(record(0, radius)).split(b"\t")[3])
    assert radius - 1e-6 < written <= radius
    assert format_line(record(0, written)).split(b"\t")[3] == f"{written:.6f}".encode()


def test_without_votes_for_others_the_line_is_read_again(tmp_path: Path) -> None:
    unanimous = Record(0, 0, 0, True, 0.0, 0.5, 0, {0: 1000})
    with LogWriter(tmp_path / "log.tsv", PROTOCOL) as log:
        log.append([unanimous])
    assert read_log(tmp_path / "log.tsv").records == [unanimous]


@pytest.mark.slow
def test_a_log_cut_anywhere_goes_on_to_the_same_log(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.tsv")
    path = tmp_path / "log.tsv"
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        assert write(path) == whole


def test_a_cut_between_the_lines_of_one_image_repeats_the_image(tmp_path: Path) -> None:
    shared = {key: getattr(PROTOCOL, key) for key in PredictProtocol.__struct_fields__}
    protocol = PredictProtocol(**{**shared, "n": (100, 1000)})
    lines = [record(0, None), record(0, None)]
    with LogWriter(tmp_path / "log.tsv", protocol) as log:
        log.append(lines)
    content = (tmp_path / "log.tsv").read_bytes()
    (tmp_path / "log.tsv").write_bytes(content[: content[:-1].rindex(b"\n") + 1])
    with LogWriter(tmp_path / "log.tsv", protocol) as log:
        assert log.remaining[0] == 0
        log.append(lines)
    assert (tmp_path / "log.tsv").read_bytes() == content


@pytest.mark.parametrize(
    "change",
    [{"n": 2000}, {"weights_sha256": "1" * 64}, {"seed": 1}, {"stride": 5}, {"software": "other"}],
)
def test_a_log_of_another_protocol_is_refused_and_left_alone(
    tmp_path: Path, change: dict[str, object]
) -> None:
    before = write(tmp_path / "log.tsv", until=3)
    key, value = next(iter(change.items()))
    with pytest.raises(
        ValueError, match=rf"got one of another \({key}: .* and {value}\); write to another file"
    ):
        LogWriter(tmp_path / "log.tsv", msgspec.structs.replace(PROTOCOL, **change))
    assert (tmp_path / "log.tsv").read_bytes() == before


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda text: text.replace(b"\n20\t", b"\ntwenty\t"), r"line 5 of .* got 'twenty"),
        (lambda text: text.replace(b"\n20\t", b"\n\xff\xfe\t"), "bytes that are no text"),
        (lambda text: text.replace(b"\n20\t", b"\n"), "line 5 of .*11 columns instead of 12"),
        (
            lambda text: text.replace(b"\t1000\t", b"\t999\t", 1),
            "line 3 of .*do not add up to n = 999",
        ),
        (lambda text: text.replace(b"\n20\t", b"\n30\t"), "got others or another order"),
        (lambda text: text.replace(b"\n", b"\r\n"), "Expected Unix line ends"),
        (lambda text: text + b"\n", "Expected no empty line"),
        (lambda text: text.replace(b'"n0":100', b'"n0":-1'), "Expected a protocol in line 1"),
        (lambda text: b"hello\nworld\n", "Expected the columns idx label predict"),
    ],
)
def test_a_damaged_log_is_refused_and_left_alone(
    tmp_path: Path, fault: object, message: str
) -> None:
    assert callable(fault)
    path = tmp_path / "log.tsv"
    path.write_bytes(damaged := fault(write(path)))
    with pytest.raises(ValueError, match=message):
        LogWriter(path, PROTOCOL)
    assert path.read_bytes() == damaged


def test_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "log.tsv"
    path.write_bytes(write(path).replace(b"\n", b"\r\n"))
    assert read_log(path).records == [record(idx) for idx in range(0, 100, 10)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stop": 0}, "start below stop is needed, not 0 and 0"),
        ({"noise": "grid"}, "a loss above 0 is needed for grid noise"),
        ({"loss": 1e-12}, "and 0 for float"),
        (
            {"noise": "grid", "loss": 1e-5},
            "alpha above the error of the noise of all samples is needed",
        ),
        ({"radii": [0.5, 0.25]}, "radii that ascend by their first 6 decimals are needed"),
        ({"radii": [0.1234561, 0.1234564]}, "radii that ascend"),
        ({"radii": []}, "radii that ascend"),
        (
            {"radii": [0.5], "bound": "joint"},
            "radii have a rule of their own, so bound joint with tolerance None cannot be",
        ),
        ({"radii": [0.5], "tolerance": 0.1}, "so bound cohen with tolerance 0.1 cannot be"),
    ],
)
def test_a_protocol_that_no_evaluation_can_follow_is_refused(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    path = tmp_path / "log.tsv"
    first, rest = write(path).split(b"\n", 1)
    path.write_bytes(b"# " + json.dumps(json.loads(first[1:]) | change).encode() + b"\n" + rest)
    with pytest.raises(
        ValueError,
        match=rf"^Expected a protocol in line 1 of .*{re.escape(words)}.*; restore the line\.$",
    ):
        read_log(path)


def test_an_empty_file_is_no_log_to_read_but_one_to_begin(tmp_path: Path) -> None:
    (tmp_path / "log.tsv").touch()
    with pytest.raises(ValueError, match="got none; pass a log of 'rszoo evaluate'"):
        read_log(tmp_path / "log.tsv")
    assert write(tmp_path / "log.tsv").startswith(header(PROTOCOL))


def test_two_writers_do_not_share_a_log(tmp_path: Path) -> None:
    with (
        LogWriter(tmp_path / "log.tsv", PROTOCOL),
        pytest.raises(ValueError, match="which another process has open"),
    ):
        LogWriter(tmp_path / "log.tsv", PROTOCOL)


def test_a_full_disk_names_the_file_and_loses_nothing(tmp_path: Path) -> None:
    whole, path = write(tmp_path / "whole.tsv"), tmp_path / "log.tsv"
    with disk_of(len(whole) - 40), pytest.raises(OSError, match=r"log\.tsv") as caught:
        write(path)
    assert caught.value.errno in (errno.EFBIG, errno.ENOSPC)
    assert path.read_bytes() == whole[: whole[: len(whole) - 40].rindex(b"\n") + 1]
    assert write(path) == whole


def test_what_is_no_file_is_not_written_to() -> None:
    for path in (Path("/dev/full"), Path("/dev/null")):
        with pytest.raises(
            ValueError, match=f"Expected a file for the log, got '{path}', which is none"
        ):
            LogWriter(path, PROTOCOL)


@pytest.mark.parametrize("correct", ["2", "-1", "", "True"])
def test_a_line_is_correct_or_not(tmp_path: Path, correct: str) -> None:
    path = tmp_path / "log.tsv"
    content = re.sub(rb"0\.123456\t[01]", b"0.123456\t" + correct.encode(), write(path), count=1)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"\(.*'?{correct}'?.*\); restore the line or delete it"):
        read_log(path)


@pytest.mark.parametrize("radius", ["nan", "inf", "-0.5"])
def test_a_radius_that_is_none_is_refused(tmp_path: Path, radius: str) -> None:
    content = write(tmp_path / "log.tsv").replace(b"0.123456", radius.encode(), 1)
    (tmp_path / "log.tsv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"Expected radii >= 0 in .*, got {radius} for image 0; "):
        write(tmp_path / "log.tsv")
    assert (tmp_path / "log.tsv").read_bytes() == content


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no_such_folder"):
        LogWriter(tmp_path / "no_such_folder" / "log.tsv", PROTOCOL)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_merged_shards_are_the_log_in_one_piece(tmp_path: Path, count: int) -> None:
    shards = [tmp_path / f"{number}.tsv" for number in range(1, count + 1)]
    for number, path in enumerate(shards, 1):
        write(path, msgspec.structs.replace(PROTOCOL, shard=(number, count)))
    log = merge(shards[::-1], tmp_path / "merged.tsv")
    assert (tmp_path / "merged.tsv").read_bytes() == write(tmp_path / "whole.tsv")
    assert log == read_log(tmp_path / "merged.tsv")
    with pytest.raises(FileExistsError, match="Expected a new file"):
        merge(shards, tmp_path / "merged.tsv")


def test_the_merged_log_names_the_processors_of_all_shards(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.tsv" for number in (1, 2, 3)]
    for number, path, software in zip(
        (1, 2, 3), paths, ("rszoo 1, cpu A", "rszoo 1, cpu B", "rszoo 1, cpu A"), strict=True
    ):
        write(path, msgspec.structs.replace(PROTOCOL, shard=(number, 3), software=software))
    write(tmp_path / "whole.tsv")
    log = merge([paths[1], paths[2], paths[0]], tmp_path / "merged.tsv")
    assert log.protocol == msgspec.structs.replace(
        PROTOCOL, software="rszoo 1, cpu A; rszoo 1, cpu B"
    )
    assert log.records == read_log(tmp_path / "whole.tsv").records


def test_merging_refuses_overlaps_gaps_and_strangers(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.tsv" for number in range(4)]
    for number, path in enumerate(paths[:3], 1):
        write(
            path,
            msgspec.structs.replace(PROTOCOL, shard=(number, 3)),
            until=2 if number == 3 else None,
        )
    write(paths[3], msgspec.structs.replace(PROTOCOL, shard=(3, 3), seed=1))
    whole = tmp_path / "whole.tsv"
    write(whole)
    for chosen, message in (
        (paths[:2], "got 1/3, 2/3; pass all of them"),
        ([paths[0], paths[1], paths[1]], "got 1/3, 2/3, 2/3"),
        (paths[:3], "Expected 3 lines in .*2.tsv.* got 2"),
        ([paths[0], paths[1], paths[3]], r"3.tsv with seed: 0 and 1"),
        ([whole], "which is no shard"),
    ):
        with pytest.raises(ValueError, match=message):
            merge(chosen, tmp_path / "merged.tsv")
        assert sorted(os.listdir(tmp_path)) == ["0.tsv", "1.tsv", "2.tsv", "3.tsv", "whole.tsv"]
