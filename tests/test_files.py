"""A file is replaced whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import disk_of

import rszoo.files
from rszoo.architectures import NormalizedNetwork
from rszoo.files import (
    append_line,
    exchange,
    remove_leftovers,
    replace_content,
    replacing,
    whole_lines,
)
from rszoo.recipe import Recipe
from rszoo.zoo.config import recipe_source
from rszoo.zoo.entry import read_entry, write_entry

KILLED = """
import os, sys
from pathlib import Path
from rszoo.files import replacing
with replacing(Path(sys.argv[1])) as partial:
    partial.write_text("half")
    os._exit(9)
"""


def test_a_file_is_replaced_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "x.md"
    for text in ("before", "after: ä\r\n"):
        replace_content(path, text)
        assert path.read_bytes() == text.encode()
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_one_and_what_is_no_file_stays_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept" / "x")
    replace_content(tmp_path / "link", "text")
    assert ((tmp_path / "link").is_symlink(), (tmp_path / "kept" / "x").read_text()) == (
        True,
        "text",
    )
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path / "kept"):
        with pytest.raises(
            ValueError, match=r"^Expected a file, got '.*', which is a folder or a device; "
        ):
            replace_content(path, "text")
    assert (tmp_path / "pipe").is_fifo()


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("before")
    with pytest.raises(UnicodeEncodeError), replacing(path) as partial:
        partial.write_text(f"{'half' * 10_000}\ud800", encoding="utf-8")
    assert (path.read_text(), list(tmp_path.iterdir())) == ("before", [path])


def test_an_error_of_the_system_names_the_file_that_was_meant(tmp_path: Path) -> None:
    for path, text in ((tmp_path / "full", "x" * 2000), (tmp_path / "absent" / "x", "text")):
        with disk_of(1000), pytest.raises(OSError, match=r"No|large") as caught:
            replace_content(path, text)
        assert caught.value.filename == str(path)
    assert not list(tmp_path.iterdir())


def test_no_file_of_the_user_is_taken_for_a_temporary_one(tmp_path: Path) -> None:
    names = ("x.partial", ".x.partial", ".x.0123.partial", "y.tmp")
    for name in names:
        (tmp_path / name).write_text(name)
    replace_content(tmp_path / "x", "text")
    remove_leftovers(tmp_path / "x")
    assert [(tmp_path / name).read_text() for name in names] == list(names)


def test_what_a_kill_left_is_removed_by_whoever_asks(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("before")
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert (done.returncode, path.read_text(), len(list(tmp_path.iterdir()))) == (9, "before", 2)
    remove_leftovers(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("at_once", [True, False])
def test_folders_are_exchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    if not at_once:
        monkeypatch.setattr(rszoo.files, "_exchange_at_once", lambda one, other: False)
    one, other = tmp_path / "one", tmp_path / "ö ther"
    for folder in (one, other):
        folder.mkdir()
        (folder / folder.name).touch()
    exchange(one, other)
    assert [path.name for folder in (one, other) for path in folder.iterdir()] == ["ö ther", "one"]
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "absent", other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "ö ther"]


def test_a_line_is_appended_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    append_line(path, '{"step": 1}')
    with disk_of(20), pytest.raises(OSError, match="large") as caught:
        append_line(path, '{"step": 2, "loss": 0.5}')
    assert (caught.value.filename, path.read_bytes()) == (str(path), b'{"step": 1}\n')
    for cut, kept in ((b'{"st', b""), (b'{"step": 2}', b'{"step": 2}\n')):
        path.write_bytes(b'{"step": 1}\n' + cut)
        assert whole_lines(path.read_bytes()) == (b'{"step": 1}\n' + kept).splitlines()
        append_line(path, '{"step": 3}')
        assert path.read_bytes() == b'{"step": 1}\n' + kept + b'{"step": 3}\n'


def test_an_error_about_another_file_keeps_its_name(tmp_path: Path) -> None:
    other = tmp_path / "other"
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "x"):
        other.read_text()
    assert caught.value.filename == str(other)


def test_a_full_disk_leaves_the_weights_that_were_there(
    entry: Path, network: NormalizedNetwork, recipe: Recipe
) -> None:
    before = {path: path.read_bytes() for path in entry.iterdir()}
    with disk_of(1000), pytest.raises(OSError, match="Expected room for weights in"):
        write_entry(entry, network, recipe_source(recipe))
    assert {path: path.read_bytes() for path in entry.iterdir()} == before


def test_an_entry_of_the_same_weights_loads_whenever_writing_it_stops(
    entry: Path, network: NormalizedNetwork, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, calls = os.replace, []

    def stopped(source: Path, target: Path) -> None:
        calls.append(target.name)
        read_entry(entry)
        replace(source, target)
        read_entry(entry)

    monkeypatch.setattr(os, "replace", stopped)
    write_entry(entry, network, recipe_source(recipe))
    assert calls == ["model.safetensors", "config.json"]
