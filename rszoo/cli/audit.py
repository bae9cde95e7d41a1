"""`rszoo audit`: what is wrong with logs."""

import sys
from dataclasses import asdict
from typing import Annotated

from typer import Option

from rszoo.cli.logs import Logs, check_given
from rszoo.cli.options import Json
from rszoo.cli.output import print_json
from rszoo.logs.format import read_log


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
    """Check logs: images, columns, radii against votes, n and alpha. Exit code 1 if a log has an error, 0 if only notes."""
    from rszoo.logs.analysis import Given
    from rszoo.logs.analysis import audit as audited

    given = Given(sigma, n, alpha)
    check_given(given)
    found = [(path, audited(read_log(path), given)) for path in logs]
    if json:
        print_json(
            [
                {"log": str(path), **asdict(finding)}
                for path, findings in found
                for finding in findings
            ]
        )
    else:
        for path, findings in found:
            for finding in findings:
                print(f"{path}: {finding.severity}: {finding.sentence}")
            if not findings:
                print(f"{path}: nothing to report.")
    if any(finding.severity == "error" for _, findings in found for finding in findings):
        sys.exit(1)
