"""Commands, run in this process."""

import contextlib
import io
import os
from unittest import mock

from typer.main import get_command
from typer.testing import CliRunner, Result

from rszoo.cli import app


def run(*args: object, code: int = 0) -> Result:
    """What a command prints, after a check of its exit code."""
    result = CliRunner().invoke(app, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """True, whatever is written."""
        return True


def on_terminal(*args: object, width: int) -> str:
    """What a command prints on a terminal of that many columns, without bold."""
    screen, columns = Terminal(), {"COLUMNS": str(width), "NO_COLOR": "1"}
    with (
        mock.patch.dict(os.environ, columns),
        contextlib.redirect_stdout(screen),
        contextlib.suppress(SystemExit),
    ):
        get_command(app).main([str(arg) for arg in args], "rszoo", standalone_mode=False)
    return screen.getvalue()
