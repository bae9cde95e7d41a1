"""`rszoo verify`: re-check every claim an entry makes."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from typer import Option

from rszoo.cli.options import BatchSize, Device, Json, Name
from rszoo.cli.output import print_json, print_table, print_text

if TYPE_CHECKING:
    from rszoo.publishing.verify import Check


def verify(
    name: Name,
    *,
    images: Annotated[
        int, Option(metavar="K", help="Certificates of each log to make again.", min=0)
    ] = 3,
    device: Device = "cpu",
    batch_size: BatchSize = None,
    json: Json = False,
) -> None:
    """Check an entry: files, self-test, licence, recipe, training, logs, and some certificates.

    Makes a random sample of certificates again, and tests each on fresh noise, which must not
    refute its radius at the log's alpha. Votes other than the log's are reported: processors of
    two kinds may round differently. Exit code 1 if a check failed.
    """
    from rszoo.publishing.verify import Repetition
    from rszoo.publishing.verify import verify as check_entry
    from rszoo.smoothing.runtime import find_device
    from rszoo.zoo.loading import locate

    find_device(device)
    folder, _ = locate(name)  # an unknown name has its sentence alone
    again = f", {images} certificates of each log again" if images else ""
    if folder.is_dir():
        print_text(f"rszoo: checking {name}{again} on {device} ...", sys.stderr)
    checks = check_entry(name, Repetition(images, device, batch_size))
    if json:
        print_json([asdict(check) for check in checks])
    else:
        print_checks(checks)
    if any(check.outcome == "failed" for check in checks):
        sys.exit(1)


def print_checks(checks: "Sequence[Check]") -> None:
    """Print checks as a table."""
    print_table(
        ("check", "result", "finding"),
        [(check.name, check.outcome, check.finding) for check in checks],
    )
