"""The arguments and options that several verbs share."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

Name = Annotated[str, Argument(metavar="NAME", help="A name of 'rszoo list', a folder, or hf-hub:org/repo[@revision].")]
Images = Annotated[list[Path], Argument(metavar="IMAGE...", help="PNG, JPEG or other files that Pillow reads.")]
Alpha = Annotated[float, Option(help="Failure probability, for each image.")]
Seed = Annotated[int, Option(help="Seed of the noise; to choose it after looking voids the guarantee.")]
Device = Annotated[str, Option(help="Where to compute: cpu, cuda, cuda:1 ...")]
BatchSize = Annotated[int | None, Option(help="Samples a forward pass; no effect on the result.", show_default="from memory")]
Json = Annotated[bool, Option("--json", help="Print JSON, with all fields.")]
