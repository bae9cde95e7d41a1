"""The arguments and options that several verbs share."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

Name = Annotated[
    str,
    Argument(
        metavar="NAME", help="A name of 'rszoo list', a folder, or hf-hub:org/repo[@revision]."
    ),
]
Images = Annotated[
    list[Path], Argument(metavar="IMAGE...", help="PNG, JPEG or other files that Pillow reads.")
]
Alpha = Annotated[float, Option(help="Failure probability, for each image.")]
Seed = Annotated[
    int, Option(help="Seed of the noise; to choose it after looking voids the guarantee.")
]
Device = Annotated[str, Option(help="Where to compute: cpu, cuda, cuda:1 ...")]
BatchSize = Annotated[
    int | None,
    Option(
        help="Samples a forward pass; no effect on the result, but for rounding on a GPU.",
        show_default="chosen",
    ),
]
Download = Annotated[bool, Option("--download", help="Fetch the data set if it is not there.")]
Json = Annotated[bool, Option("--json", help="Print JSON, with all fields.")]
Radii = Annotated[
    str | None,
    Option(
        help="Test only this radius, or several as 0.25,0.5, in pixel units; n is then the most samples."
    ),
]
Tolerance = Annotated[
    float | None,
    Option(help="Let the n0 samples choose n, to lose about that much radius, in pixel units."),
]


def parse_numbers(text: str, option: str) -> list[float]:
    """The numbers of an option such as 0.25,0.5.

    Raises:
        ValueError: they are none.
    """
    try:
        return [float(each) for each in text.split(",")]
    except ValueError as error:
        raise ValueError(
            f"Expected {option} to be numbers, got {text!r}; write for instance 0.25,0.5,0.75."
        ) from error
