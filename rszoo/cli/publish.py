"""`rszoo publish`: upload an entry to the Hub."""

from typing import TYPE_CHECKING, Annotated

from typer import Option

from rszoo.cli.options import Device, Name
from rszoo.cli.output import print_table
from rszoo.cli.verify import print_checks

if TYPE_CHECKING:
    from rszoo.publishing.publish import Publication


def publish(
    name: Name,
    *,
    repo: Annotated[
        str, Option(metavar="ORG/NAME", help="The Hub repository; made if it is not there.")
    ],
    private: Annotated[
        bool, Option("--private", help="Refuse a public repository; make a new one private.")
    ] = False,
    create_pr: Annotated[
        bool, Option("--create-pr", help="Propose the commit as a pull request; nothing is pinned.")
    ] = False,
    revision: Annotated[
        str | None, Option(metavar="BRANCH", help="A branch.", show_default="main")
    ] = None,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Print what would be done, change nothing.")
    ] = False,
    without_evidence: Annotated[
        bool, Option("--without-evidence", help="Publish without a log of certificates.")
    ] = False,
    images: Annotated[
        int, Option(metavar="K", help="Certificates of each log to make again.", min=0)
    ] = 3,
    device: Device = "cpu",
) -> None:
    """Publish an entry that passes 'verify': weights, evidence, recipe and card, in one commit.

    In a checkout that has the entry's recipe, the registry then pins the commit. The token is that
    of the Hub's client: 'hf auth login', or HF_TOKEN.
    """
    from rszoo.publishing.publish import publish as publish_entry
    from rszoo.publishing.verify import Repetition

    publication = publish_entry(
        name,
        repo,
        private=private,
        create_pr=create_pr,
        revision=revision,
        dry_run=dry_run,
        without_evidence=without_evidence,
        repetition=Repetition(images, device),
    )
    print_checks(publication.checks)
    print_table(
        ("file", "bytes", "sha256"),
        [(file.name, str(file.size), file.sha256) for file in publication.files],
    )
    print(_outcome(publication, repo, create_pr=create_pr, branch=revision or "main"))


def _outcome(publication: "Publication", repo: str, *, create_pr: bool, branch: str) -> str:
    name, upload, pins = publication.name, publication.upload, publication.pins
    if upload is None:
        how = "a pull request to" if create_pr else "one commit on"
        pinned = f", and pin it as {name} in the registry" if pins else ""
        return (
            f"Dry run: would bring these files to {how} the branch {branch} of {repo}{pinned}; "
            "nothing was changed."
        )
    if create_pr:
        return f"Proposed {name}: {upload.url}"
    pinned = "; the registry pins it" if pins else ""
    return f"Published {name} at {upload.url}{pinned}; load it as 'hf-hub:{repo}@{upload.commit}'."
