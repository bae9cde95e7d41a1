"""A file is replaced whole or not at all."""

import os
from pathlib import Path

import pytest
from conftest import disk_of

from rszoo.architectures import NormalizedNetwork
from rszoo.files import replace_content, replacing
from rszoo.recipe import Recipe
from rszoo.zoo.config import recipe_source
from rszoo.zoo.entry import write_entry


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
    (tmp_path / "full.partial").symlink_to("/dev/full")
    for path in (tmp_path / "full", tmp_path / "absent" / "x"):
        with pytest.raises(OSError, match="No") as caught:
            replace_content(path, "text")
        assert caught.value.filename == str(path)
    assert not list(tmp_path.iterdir())


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
