"""Commands, run in this process."""

from typer.testing import CliRunner, Result

from rszoo.cli import app


def run(*args: object, code: int = 0) -> Result:
    """What a command prints, after a check of its exit code."""
    result = CliRunner().invoke(app, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result
