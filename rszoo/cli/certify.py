"""`rszoo certify`: CERTIFY on image files."""

import sys
from typing import Annotated

from typer import Option

from rszoo.cli.images import Voted, vote
from rszoo.cli.options import (
    Alpha,
    BatchSize,
    Device,
    Images,
    Json,
    Name,
    Radii,
    Seed,
    Tolerance,
    parse_numbers,
)
from rszoo.cli.output import print_json, print_table
from rszoo.logs.format import round_down
from rszoo.smoothing.certificate import Certificate

COLUMNS = ("label", "radius", "p_lower", "n", "time")


def certify(
    name: Name,
    images: Images,
    *,
    n0: Annotated[int, Option(help="Noise samples that select the class.")] = 100,
    n: Annotated[
        int,
        Option(
            help="Noise samples that bound its probability; raising it until an image is certified "
            "voids alpha."
        ),
    ] = 100_000,
    alpha: Alpha = 0.001,
    bound: Annotated[
        str,
        Option(
            help="The radius rule: cohen, joint, tcertify or bonferroni; keeping the best of "
            "several voids alpha."
        ),
    ] = "cohen",
    radius: Radii = None,
    tolerance: Tolerance = None,
    seed: Seed = 0,
    device: Device = "cpu",
    batch_size: BatchSize = None,
    json: Json = False,
) -> None:
    """Certify images: a class, and an l2 radius in pixel units within which it cannot change.

    Or abstain. A radius is a distance between images of the classifier's size, with pixels in
    [0, 1]; for a file of another size it is that of the resized image.
    """
    from rszoo.zoo.loading import load

    radii = None if radius is None else parse_numbers(radius, "--radius")
    classifier = load(name, device=device)
    voted = vote(
        classifier,
        images,
        lambda x: classifier.certify(
            x,
            n0=n0,
            n=n,
            alpha=alpha,
            bound=bound,
            radius=radii,
            tolerance=tolerance,
            seed=seed,
            batch_size=batch_size,
        ),
    )
    if json:
        print_json([image.as_json() for image in voted])
        return
    if resized := sum(image.resized for image in voted):
        height, width = classifier.input_shape[1:]
        print(
            f"rszoo: {resized} of {len(voted)} images were resized or cropped to {width} x "
            f"{height} pixels; a radius is a distance between images of that size, not between "
            "files.",
            file=sys.stderr,
        )
    columns = ("image", *COLUMNS, *([] if radii is None else ["stopped"]))
    rows = [(str(image.path), *cells(image), image.result.stopped) for image in voted]
    print_table(columns, [row[: len(columns)] for row in rows])


def cells(voted: Voted[Certificate]) -> tuple[str, ...]:
    """The cells of `COLUMNS`; radius and p_lower are rounded down."""
    certificate = voted.result
    return (
        voted.label or "abstain",
        "-" if certificate.abstained else round_down(certificate.radius, 3),
        round_down(certificate.p_lower, 4),
        str(certificate.n),
        f"{voted.seconds:.1f} s",
    )
