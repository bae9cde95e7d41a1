"""Publish an entry that passes its checks, with evidence and card, in one commit, and pin it."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from rszoo.publishing.verify import USUAL, Check, Repetition, verify_folder
from rszoo.recipe import load_recipe, recipe_names, recipe_text
from rszoo.zoo.config import (
    BESIDE,
    CARD,
    CONFIG,
    FILES,
    FIXED_LOG,
    RECIPE,
    EntryConfig,
    published,
    read_config,
    sha256,
)
from rszoo.zoo.hub import Upload, check_name, fetch, upload
from rszoo.zoo.loading import locate
from rszoo.zoo.registry import Entry, bundled_folder, in_checkout, pin


@dataclass(frozen=True)
class PublishedFile:
    """A file of the commit: its name, its size in bytes, its SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Publication:
    """What was published, or would be.

    Attributes:
        name: the entry's name.
        checks: those of `verify`.
        files: those of the commit.
        upload: the commit or pull request; None for a dry run.
        pins: whether the registry names the commit now, or would.
    """

    name: str
    checks: Sequence[Check]
    files: Sequence[PublishedFile]
    upload: Upload | None
    pins: bool


def publish(
    name: str,
    repo_id: str,
    *,
    private: bool = False,
    create_pr: bool = False,
    revision: str | None = None,
    dry_run: bool = False,
    without_evidence: bool = False,
    repetition: Repetition = USUAL,
) -> Publication:
    """Publish an entry that passes every check of `verify`: the checked files, in one commit.

    In a checkout that has the entry's recipe, the registry then names repository, commit and
    SHA-256.

    Args:
        name: as for `rszoo.load`; a folder may also hold the evidence and the recipe.
        repo_id: `organisation/repository`; made if it is not there.
        private: the repository must be private.
        create_pr: propose the commit as a pull request and pin nothing.
        revision: a branch other than the main one.
        dry_run: check and render, but change nothing.
        without_evidence: publish an entry without a log of certificates.
        repetition: as for `verify`.

    Raises:
        ValueError: the entry fails a check or has no evidence, or that is no repository's name.
        rszoo.errors.HubError: no permission, no connection, or the Hub holds something else than
            was sent.
    """
    check_name(repo_id)
    with _staged(name) as (folder, pinned):
        checks = _checks(folder, pinned, repetition)
        _check_publishable(name, folder, checks, without_evidence=without_evidence)
        config = read_config(folder)
        pins = not create_pr and _is_of_this_zoo(config)
        if pins:
            _check_bundled(config, folder)
        text = card(folder, named=pins, repository=repo_id, revision=revision)
        (folder / CARD).write_text(text, encoding="utf-8")
        among = published(config.name)
        paths = [folder / file for file in among if (folder / file).is_file()]
        files = [PublishedFile(path.name, path.stat().st_size, sha256(path)) for path in paths]
        publication = Publication(config.name, checks, files, None, pins)
        if dry_run:
            return publication
        digest = sha256(folder / CONFIG)
        commit = upload(
            repo_id,
            paths,
            among=among,
            message=f"{config.name}, {CONFIG} {digest}",
            private=private,
            create_pr=create_pr,
            revision=revision,
        )
        if not create_pr:
            arrived = fetch(repo_id, commit.commit, files=(CONFIG,))
            read_config(arrived, expected_sha256=digest)
        if pins:
            pin(config.name, Entry(config_sha256=digest, repo_id=repo_id, revision=commit.commit))
        return replace(publication, upload=commit)


def push_to_hub(
    name: str,
    repo_id: str,
    *,
    private: bool = False,
    create_pr: bool = False,
    revision: str | None = None,
    without_evidence: bool = False,
) -> str:
    """`publish`, under the name that other libraries of the Hub give it.

    It takes an entry, such as the folder of `smooth(...).save(folder)`, not a classifier: the
    checked files are the published ones. The client's PyTorchModelHubMixin, which loads partial
    weights by default, has no part in it.

    Args:
        name: as for `rszoo.load`.
        repo_id: `organisation/repository`; made if it is not there.
        private: the repository must be private.
        create_pr: propose the commit as a pull request and pin nothing.
        revision: a branch other than the main one.
        without_evidence: publish an entry without a log of certificates.

    Returns:
        The address of the commit or pull request.

    Raises:
        ValueError: the entry fails a check or has no evidence, or that is no repository's name.
        rszoo.errors.HubError: no permission, no connection, or the Hub holds something else than
            was sent.
    """
    publication = publish(
        name,
        repo_id,
        private=private,
        create_pr=create_pr,
        revision=revision,
        without_evidence=without_evidence,
    )
    return cast(Upload, publication.upload).url  # None only after a dry run


def card(folder: Path, *, named: bool, repository: str, revision: str | None) -> str:
    """The card of the entry in a folder, with its recipe if it is there; saves its picture too.

    It names the repository but no commit: it is part of the commit, whose name depends on it.

    Args:
        folder: holds the files to publish.
        named: the registry will pin these files under the entry's name.
        repository: where they go.
        revision: a branch other than the main one.
    """
    from rszoo.publishing.cards import read_evidence, render, save_picture

    recipe = load_recipe(str(folder / RECIPE)) if (folder / RECIPE).is_file() else None
    evidence = read_evidence(folder, recipe)
    save_picture(evidence, folder)
    named = named or evidence.named
    return render(replace(evidence, named=named, repository=repository, revision=revision))


@contextmanager
def _staged(name: str) -> Iterator[tuple[Path, str | None]]:
    """A folder with copies of an entry's files, which nobody changes between check and upload.

    Yields the pinned SHA-256 too.
    """
    source, pinned = locate(name, also=(*BESIDE, RECIPE))
    config = read_config(source, expected_sha256=pinned)
    with TemporaryDirectory() as place:
        folder = Path(place)
        for file in (*FILES, *BESIDE, RECIPE):
            if (source / file).is_file():
                shutil.copyfile(source / file, folder / file)
        is_known = config.recipe_fingerprint is not None and config.name in recipe_names()
        if is_known and not (folder / RECIPE).is_file():
            text = recipe_text(load_recipe(config.name)) + "\n"
            (folder / RECIPE).write_text(text, encoding="utf-8")
        yield folder, pinned


def _checks(folder: Path, pinned: str | None, repetition: Repetition) -> list[Check]:
    """The checks of the copies, which do not name their folder: only this process knows it."""
    return [
        replace(check, finding=check.finding.replace(f"{folder}{os.sep}", ""))
        for check in verify_folder(folder, repetition, pinned=pinned)
    ]


def _check_publishable(
    name: str, folder: Path, checks: Sequence[Check], *, without_evidence: bool
) -> None:
    failed = [f"{check.name}: {check.finding}" for check in checks if check.outcome == "failed"]
    if failed:
        raise ValueError(
            f"Expected an entry that passes its checks, got {name}, which fails {len(failed)}: "
            f"{'; '.join(failed).rstrip('.')}; 'rszoo verify {name}' lists all."
        )
    if not without_evidence and not (folder / FIXED_LOG).is_file():
        raise ValueError(
            f"Expected evidence, got {name} without {FIXED_LOG}; make it with "
            f"'rszoo evaluate {name} --out FOLDER/{FIXED_LOG}', or pass --without-evidence."
        )


def _is_of_this_zoo(config: EntryConfig) -> bool:
    """Whether this is a checkout that has the recipe of the entry."""
    return (
        in_checkout()
        and config.name in recipe_names()
        and load_recipe(config.name).fingerprint == config.recipe_fingerprint
    )


def _check_bundled(config: EntryConfig, folder: Path) -> None:
    bundled = bundled_folder(config.name) / CONFIG
    if bundled.is_file() and sha256(bundled) != sha256(folder / CONFIG):
        raise ValueError(
            f"Expected the entry in {bundled.parent}, to which the same pin applies, got other "
            f"weights of {config.name}; 'rszoo bundle' them first."
        )
