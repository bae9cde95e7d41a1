"""The size of the house: few rooms, files that are neither drawers nor crumbs, one version."""

import re
from importlib.metadata import version
from pathlib import Path

import rszoo

ROOT = Path(__file__).parents[1]
PACKAGE = Path(rszoo.__file__).parent
FAMILIES = ("cli", "attacks", "training/methods", "architectures")
"""Folders of modules of one kind, each of which users know by name: these may be short."""
DRAWERS = {"utils", "common", "helpers", "misc"}
WIDTH, LONGEST, SHORTEST, ROOMS = 100, 300, 40, 16

MODULES = {
    path.relative_to(PACKAGE): path.read_text(encoding="utf-8").splitlines()
    for path in sorted(PACKAGE.rglob("*.py"))
}


def test_the_top_level_has_few_rooms() -> None:
    assert len({path.parts[0] for path in MODULES}) <= ROOMS


def test_no_line_is_too_wide() -> None:
    sources = [
        path for name in ("rszoo", "tests", "benchmarks") for path in ROOT.glob(f"{name}/**/*.py")
    ]
    wide = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sources
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > WIDTH
    ]
    assert wide == []


def test_no_module_is_too_long() -> None:
    assert [str(path) for path, lines in MODULES.items() if len(lines) > LONGEST] == []


def test_no_module_is_a_crumb() -> None:
    short = [path for path, lines in MODULES.items() if len(lines) < SHORTEST]
    alone = [path for path in short if path.parent.as_posix() not in FAMILIES]
    assert [str(path) for path in alone if path.name != "__init__.py"] == []


def test_no_module_is_a_drawer() -> None:
    assert not DRAWERS & {path.stem for path in MODULES}


def test_the_version_is_the_same_wherever_it_is_written() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.*)$", citation, flags=re.MULTILINE) == [version("rszoo")]
    assert re.findall(r"^## \[(\d.*?)\]", changelog, flags=re.MULTILINE)[0] == version("rszoo")
