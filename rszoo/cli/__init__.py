"""The command line: one module per verb, and the one place where errors become sentences.

Verbs import torch only when they need it: `rszoo --help`, `rszoo list` and `rszoo show` answer at
once.
"""

import os
import re
import sys
from collections.abc import Callable
from importlib.metadata import version as installed_version
from inspect import signature
from typing import Annotated

import typer

from rszoo.cli.attack import attack
from rszoo.cli.audit import audit
from rszoo.cli.bundle import bundle
from rszoo.cli.card import card
from rszoo.cli.certify import certify
from rszoo.cli.challenge import challenge
from rszoo.cli.choose import choose
from rszoo.cli.compare import compare
from rszoo.cli.demo import demo
from rszoo.cli.ensemble import ensemble
from rszoo.cli.evaluate import evaluate
from rszoo.cli.examples import epilog
from rszoo.cli.import_ import import_entry
from rszoo.cli.list import list_entries
from rszoo.cli.merge import merge
from rszoo.cli.plot import plot
from rszoo.cli.predict import predict
from rszoo.cli.publish import publish
from rszoo.cli.show import show
from rszoo.cli.table import table
from rszoo.cli.train import train
from rszoo.cli.verify import verify
from rszoo.smoothing.runtime import tune_process

VERBS: dict[str, Callable[..., None]] = {
    "list": list_entries,
    "show": show,
    "choose": choose,
    "predict": predict,
    "certify": certify,
    "demo": demo,
    "evaluate": evaluate,
    "attack": attack,
    "challenge": challenge,
    "merge": merge,
    "table": table,
    "plot": plot,
    "compare": compare,
    "audit": audit,
    "card": card,
    "train": train,
    "import": import_entry,
    "ensemble": ensemble,
    "verify": verify,
    "publish": publish,
    "bundle": bundle,
}

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _name, _verb in VERBS.items():
    app.command(_name, epilog=epilog(_name))(_verb)


def main() -> None:
    """Run the command line; a user's mistake ends in one sentence on stderr and exit code 2.

    A fault of the program itself keeps its traceback.
    """
    tune_process()
    # without this the Hub's client announces each retry; the final error says enough
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except (ValueError, OSError) as error:
        print(f"rszoo: {sentence(error)}", file=sys.stderr)
        sys.exit(2)


def sentence(error: ValueError | OSError) -> str:
    """An error in one line, with options for keywords; those of the system in our form."""
    if isinstance(error, OSError) and error.strerror is not None:
        file = "a file" if error.filename is None else repr(str(error.filename))
        return (
            f"Expected to read or write {file}, got '{error.strerror}'; "
            "check path, permissions and free space."
        )
    text = " ".join(str(error).split())
    verb = VERBS.get(sys.argv[1]) if len(sys.argv) > 1 else None
    for name in signature(verb).parameters if verb else ():
        option = f"--{name.replace('_', '-')}"
        text = re.sub(rf"\b{name}=(?=')", f"{option} ", text)
        if "_" in name:  # a word alone, such as n or device, may stand for itself
            text = text.replace(f"{name}=", f"{option} ").replace(name, option)
    return text


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"rszoo {installed_version('rszoo')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Load smoothed classifiers by name; get certified predictions, with the evidence."""
