"""`rszoo audit`: what is wrong with logs."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from typer import Option

from rszoo.cli.options import Json, Logs
from rszoo.cli.output import print_json
from rszoo.logs.format import Given, Log, PublishedProtocol, read_log


def audit(
    logs: Logs,
    *,
    sigma: Annotated[
        float | None, Option(help="Noise of a published file.", show_default="from its name")
    ] = None,
    n: Annotated[
        int | None, Option(help="Samples of a published file.", show_default="100000")
    ] = None,
    alpha: Annotated[
        float | None, Option(help="Failure probability of a published file.", show_default="0.001")
    ] = None,
    json: Json = False,
) -> None:
    """Check logs: images, columns, radii against votes, n and alpha.

    Exit code 1 if a log has an error, 0 if there are only notes.
    """
    from rszoo.logs.analysis import audit as audited

    given = Given(sigma, n, alpha)
    audits = [(path, audited(_read(path, given))) for path in logs]
    if json:
        print_json(
            [{"log": str(path), **asdict(each)} for path, findings in audits for each in findings]
        )
    else:
        for path, findings in audits:
            lines = [f"{finding.severity}: {finding.sentence}" for finding in findings]
            for line in lines or ["nothing to report."]:
                print(f"{path}: {line}")
    if any(finding.severity == "error" for _, findings in audits for finding in findings):
        sys.exit(1)


def _read(path: Path, given: Given) -> Log:
    log = read_log(path, given)
    if given != Given() and not isinstance(log.protocol, PublishedProtocol):
        raise ValueError(
            f"Expected sigma, n and alpha of a published file only, got {path}, "
            "which states them; leave them out."
        )
    return log
