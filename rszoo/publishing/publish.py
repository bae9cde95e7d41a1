"""`publish`: an entry that passes its checks, with its evidence and its card, to the Hub in one commit, and pinned there."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from rszoo.publishing.verify import Check, verify_folder
from rszoo.recipe import load_recipe, recipe_names, recipe_text
from rszoo.zoo.config import EntryConfig, read_config, sha256
from rszoo.zoo.hub import Upload, check_name, fetch, upload
from rszoo.zoo.layout import BESIDE, EVIDENCE, FILES, RECIPE, published
from rszoo.zoo.loading import locate
from rszoo.zoo.registry import Entry, bundled_folder, in_checkout, pin

CARD = "README.md"


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
        files: of the commit.
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
    images: int = 3,
    device: str | torch.device = "cpu",
) -> Publication:
    """Publish an entry that passes every check of `verify`; what was checked is what is published, in one commit.

    In a checkout, the registry then names repository, commit and SHA-256 of an entry whose recipe is there.

    Args:
        name: as for `rszoo.load`; a folder may also hold the evidence and the recipe.
        repo_id: `organisation/repository`; it is made if it is not there.
        private: the repository must be private.
        create_pr: propose the commit as a pull request; nothing is pinned.
        revision: a branch other than the main one.
        dry_run: check and render, but change nothing.
        without_evidence: publish an entry without a log of certificates.
        images, device: as for `verify`.

    Raises:
        ValueError: the entry fails a check or has no evidence, or that is no repository's name.
        rszoo.errors.HubError: no permission, no connection, or the Hub holds something else than was sent.
    """
    check_name(repo_id)
    with _staged(name) as (folder, pinned):
        found = verify_folder(folder, pinned=pinned, images=images, device=device)
        copies = f"{folder}{os.sep}"  # a name that only this process knows
        checks = [replace(each, finding=each.finding.replace(copies, "")) for each in found]
        _check_publishable(name, folder, checks, without_evidence=without_evidence)
        config = read_config(folder)
        pins = not create_pr and _is_of_this_zoo(config)
        if pins:
            _check_bundled(config, folder)
        (folder / CARD).write_text(card(folder, named=pins), encoding="utf-8")
        paths = [folder / each for each in published(config.name) if (folder / each).is_file()]
        files = [PublishedFile(path.name, path.stat().st_size, sha256(path)) for path in paths]
        if dry_run:
            return Publication(config.name, checks, files, None, pins)
        message = f"{config.name}, config.json {sha256(folder / 'config.json')}"
        among = published(config.name)
        made = upload(
            repo_id,
            paths,
            among=among,
            message=message,
            private=private,
            create_pr=create_pr,
            revision=revision,
        )
        if not create_pr:
            _check_arrived(repo_id, made.commit, folder)
        if pins:
            pin(
                config.name,
                Entry(
                    config_sha256=sha256(folder / "config.json"),
                    repo_id=repo_id,
                    revision=made.commit,
                ),
            )
        return Publication(config.name, checks, files, made, pins)


def push_to_hub(
    name: str,
    repo_id: str,
    *,
    private: bool = False,
    create_pr: bool = False,
    revision: str | None = None,
    without_evidence: bool = False,
) -> str:
    """`publish` with the card of `rszoo.publishing.cards`, under the name that other libraries of the Hub give it.

    It takes an entry, such as the folder of `smooth(...).save(folder)`, instead of a classifier: what is published is what was
    checked, and the client's PyTorchModelHubMixin, which loads partial weights by default, has no part in it.

    Args:
        name: as for `rszoo.load`.
        repo_id, private, create_pr, revision, without_evidence: as for `publish`.

    Returns:
        The address of the commit or of the pull request.

    Raises:
        ValueError, rszoo.errors.HubError: as `publish`.
    """
    made = publish(
        name,
        repo_id,
        private=private,
        create_pr=create_pr,
        revision=revision,
        without_evidence=without_evidence,
    ).upload
    assert made is not None
    return made.url


def card(folder: Path, *, named: bool) -> str:
    """The card of the entry in a folder, with its recipe if it is there; its picture is written beside it.

    `named` says that the registry will pin these files under the entry's name.
    """
    from rszoo.publishing.cards import read_evidence, render, save_picture

    evidence = read_evidence(
        folder, load_recipe(str(folder / RECIPE)) if (folder / RECIPE).is_file() else None
    )
    save_picture(evidence, folder)
    return render(replace(evidence, named=named or evidence.named))


@contextmanager
def _staged(name: str) -> Iterator[tuple[Path, str | None]]:
    """A folder with copies of the files of an entry, which nobody changes between check and upload; and the pinned SHA-256."""
    source, pinned = locate(name, also=(*BESIDE, RECIPE))
    config = read_config(source, expected_sha256=pinned)
    with TemporaryDirectory() as place:
        for each in (*FILES, *BESIDE, RECIPE):
            if (source / each).is_file():
                shutil.copyfile(source / each, Path(place) / each)
        staged = Path(place) / RECIPE
        is_known = config.recipe_fingerprint is not None and config.name in recipe_names()
        if is_known and not staged.is_file():
            staged.write_text(recipe_text(load_recipe(config.name)) + "\n", encoding="utf-8")
        yield Path(place), pinned


def _check_publishable(
    name: str, folder: Path, checks: Sequence[Check], *, without_evidence: bool
) -> None:
    if failed := [check for check in checks if check.outcome == "failed"]:
        raise ValueError(
            f"Expected an entry that passes its checks, got {name}, which fails {len(failed)}: "
            f"{'; '.join(f'{check.name}: {check.finding}' for check in failed).rstrip('.')}; 'rszoo verify {name}' lists all."
        )
    if not without_evidence and not (folder / EVIDENCE[0]).is_file():
        raise ValueError(
            f"Expected evidence, got {name} without {EVIDENCE[0]}; make it with 'rszoo evaluate {name} --out "
            f"FOLDER/{EVIDENCE[0]}', or pass --without-evidence."
        )


def _is_of_this_zoo(config: EntryConfig) -> bool:
    """Whether this is a checkout that has the recipe of the entry."""
    return (
        in_checkout()
        and config.name in recipe_names()
        and load_recipe(config.name).fingerprint == config.recipe_fingerprint
    )


def _check_bundled(config: EntryConfig, folder: Path) -> None:
    bundled = bundled_folder(config.name) / "config.json"
    if bundled.is_file() and sha256(bundled) != sha256(folder / "config.json"):
        raise ValueError(
            f"Expected the entry that {bundled.parent} holds, which the same pin is for, got other weights of {config.name}; "
            "'rszoo bundle' them first."
        )


def _check_arrived(repo_id: str, commit: str, folder: Path) -> None:
    arrived = fetch(repo_id, commit, files=("config.json",))
    read_config(arrived, expected_sha256=sha256(folder / "config.json"))
