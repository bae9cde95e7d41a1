"""Tables on terminals of 60, 80 and 120 columns, from the logs of bundled entries."""

import shutil
from pathlib import Path

import pytest
from support.commands import on_terminal, run

import rszoo
from rszoo.cli.demo import PHOTOGRAPHS
from rszoo.cli.names import full_name, without_common_start
from rszoo.cli.verify import print_checks
from rszoo.logs.analysis import results
from rszoo.logs.format import read_log
from rszoo.publishing.verify import Check
from rszoo.zoo.registry import bundled_folder

NAME = "cifar10-resnet20-gaussian-s0.25"
START = "cifar10-resnet20-"
UNFOLDED = 100_000
WIDTHS = (60, 80, 120)
GRIDS = [bundled_folder(name) / "certify-grid.tsv" for name in rszoo.list_models()]
FIXED = [bundled_folder(name) / "certify.tsv" for name in rszoo.list_models()]
RADII = "0,0.25,0.5,0.75,1,1.25,1.5"
QUICK = ("--n", 100)
COMMANDS: dict[str, tuple[object, ...]] = {
    "list": ("list",),
    "list one": ("list", NAME, "--radius", RADII),
    "list all": ("list", "--all"),
    "list of radii": ("list", "--radius", "0.25,0.5,0.75", "--sort"),
    "list of many radii": ("list", "--radius", RADII),
    "list in l-infinity": ("list", "--radius", "1/255,2/255", "--norm", "linf"),
    "show": ("show", NAME),
    "table": ("table", *GRIDS, "--digits", 3, "--radius", RADII, "--published", "cohen-log-*"),
    "table of all tested radii": ("table", *GRIDS),
    "table with bounds": ("table", FIXED[0], "--lower-bound", 0.01, "--per-class"),
    "table with the best": ("table", *FIXED, "--envelope", "--radius", RADII),
    "table in l-infinity": ("table", *FIXED, "--norm", "linf"),
    "table of papers": ("table", "--published", "*"),
    "compare": ("compare", *FIXED[1:3]),
    "compare in l-infinity": ("compare", *FIXED[1:3], "--norm", "linf"),
}


def check_lines(text: str, unfolded: str, width: int) -> None:
    """No line is too long unless it is one word, and no word is not also in the unfolded text."""
    for line in text.splitlines():
        assert len(line) <= width or len(line.split()) == 1, line
    rule = "\u2500"
    assert {word for word in text.split() if rule not in word} <= set(unfolded.split())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_table_fits_and_breaks_no_word(command: str, width: int) -> None:
    args = COMMANDS[command]
    text = on_terminal(*args, width=width)
    assert text.count("\n") > 3
    check_lines(text, on_terminal(*args, width=UNFOLDED), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_verbs_that_vote_fit(entry: Path, tmp_path: Path, width: int) -> None:
    folder = tmp_path / "photographs"
    shutil.copytree(PHOTOGRAPHS, folder, ignore=shutil.ignore_patterns("*.toml"))
    name = f"local-dir:{entry}"
    for args in (
        ("certify", name, folder, *QUICK),
        ("certify", name, folder, *QUICK, "--radius", 0.1),
        ("certify", name, folder, *QUICK, "--votes", "soft"),
        ("predict", name, folder, *QUICK),
        ("demo", "--name", name, *QUICK, "--out", tmp_path / "x.png"),
    ):
        text = on_terminal(*args, width=width)
        assert "horse.jpg" in text
        assert "alpha = 0.001" in text
        for line in text.splitlines():
            assert len(line) <= width or len(line.split()) == 1, line


@pytest.mark.parametrize("width", WIDTHS)
def test_a_challenge_fits(evident: Path, width: int) -> None:
    log = evident / "certify.tsv"
    command = ("challenge", log, "--name", evident, "--steps", 1, "--num-noise", 1, "--n", 20)
    text = on_terminal(*command, width=width)
    check_lines(text, on_terminal(*command, width=UNFOLDED), width)
    assert "n = 20, alpha = 0.001" in " ".join(text.split())


@pytest.mark.parametrize("width", WIDTHS)
def test_long_findings_are_folded_between_words(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finding = "Expected certificates that hold on fresh noise, got one of three that does not."
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    print_checks([Check("files and self-test", "failed", finding)])
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= width
    assert set(finding.split()) <= set(text.split())


def test_what_all_rows_share_stands_above_and_n_and_alpha_below() -> None:
    text = on_terminal("list", "--radius", "0.25,0.5", width=80)
    above, below = text.split("\n\n")[0], text.split("\n\n")[-1]
    assert above.startswith("All: dataset cifar10, architecture resnet20, ")
    assert "images 500" in above
    assert "At most 100000 samples per image, ACR with n = 10000, alpha = 0.001." in below
    table = on_terminal("table", *GRIDS, width=80).split("\n\n")
    assert table[0].startswith("All: ACR -, images 500.")
    assert table[-1].startswith("Samples per image: n at most 100000, alpha = 0.001.")
    mixed = on_terminal("table", *GRIDS, "--published", "cohen-log-*", width=UNFOLDED)
    paper = "cohen-log-cifar10-s{} (arXiv 1902.02918)".format
    assert (
        f"n at most 100000, alpha = 0.001; of {paper('0.12')}, {paper('1.00')}: n = 100000, "
        f"alpha = 0.001; of {paper('0.25')}, {paper('0.50')}: n = 100000, alpha = 0.01." in mixed
    )
    assert "A: n = 10000, alpha = 0.001; B:" in on_terminal("compare", *FIXED[:2], width=80)


def test_shortened_names_can_be_typed_back() -> None:
    text = on_terminal("list", width=80)
    assert f"Names start with {START}, which may be left out" in text
    names = [line.split()[0] for line in text.split("\u2500\n")[1].splitlines() if line]
    assert [START + name for name in names] == rszoo.list_models()
    assert [full_name(name) for name in names] == rszoo.list_models()
    assert run("show", names[0]).output == run("show", START + names[0]).output


def test_a_short_form_means_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert full_name("gaussian-s0.25") == NAME
    assert full_name("resnet20-gaussian-s0.25") == NAME
    for other in ("s0.25", "finetuned-s0.25", "gaussian", "hf-hub:a/gaussian-s0.25", "./x", NAME):
        assert full_name(other) == other
    Path("gaussian-s0.25").mkdir()
    assert full_name("gaussian-s0.25") == "gaussian-s0.25"


def test_names_that_would_be_ambiguous_stay_whole() -> None:
    titles = [f"{START}gaussian-s0.25 at sigma 0.5", f"{START}gaussian-s0.50", "a paper"]
    assert without_common_start(titles) == (
        START,
        ["gaussian-s0.25 at sigma 0.5", "gaussian-s0.50", "a paper"],
    )
    recipes = ["cifar10-resnet110-gaussian-s0.25", "cifar10-resnet110-gaussian-s0.50"]
    assert without_common_start(recipes) == ("cifar10-", [name[8:] for name in recipes])
    assert without_common_start([NAME]) == ("", [NAME])


def test_show_says_what_the_logs_say() -> None:
    grid = results(read_log(bundled_folder(NAME) / "certify-grid.tsv"))
    text = run("show", NAME).output
    rows = [line.split() for line in text.partition("certified accuracy\n")[2].splitlines()[:4]]
    assert [float(radius) for radius, _ in rows] == list(grid.tested or ())
    assert [float(share) for _, share in rows] == [grid.accuracy(r) for r in grid.tested or ()]
    log = read_log(bundled_folder(NAME) / "certify.tsv")
    mean = sum(record.seconds for record in log.records) / len(log.records)
    assert f"n = 10000, alpha = 0.001. Logged time: {mean:.2g} s per image" in text


def test_the_python_that_show_prints_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(PHOTOGRAPHS / "cat.jpg", "cat.png")
    for text in (run("show", NAME).output, on_terminal("show", NAME, width=40)):
        lines = text.partition("How to use it:\n\n")[2].splitlines()
        program = "\n".join(line[4:] for line in lines)
        assert program.count("\n") <= 5
        exec(program.replace("10_000", "20"), {})
        assert "Certificate(" in capsys.readouterr().out
