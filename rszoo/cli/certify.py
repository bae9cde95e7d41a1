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

EVIDENCE = ("label", "radius", "p_lower", "n", "time")


def certify(
    name: Name,
    images: Images,
    *,
    n0: Annotated[int, Option(help="Noise samples that select the class.")] = 100,
    n: Annotated[int, Option(help="Noise samples that bound its probability.")] = 100_000,
    alpha: Alpha = 0.001,
    bound: Annotated[
        str, Option(help="The radius rule: cohen, joint, tcertify or bonferroni.")
    ] = "cohen",
    radius: Radii = None,
    tolerance: Tolerance = None,
    seed: Seed = 0,
    device: Device = "cpu",
    batch_size: BatchSize = None,
    json: Json = False,
) -> None:
    """Certify images: a class and an l2 radius, in pixel units [0, 1], within which it cannot change; or abstain.

    A radius is a distance between images of the classifier's size: of a file of another size it is that of the resized image.
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
    resized = sum(each.resized for each in voted)
    if resized and not json:  # there each image says it
        height, width = classifier.input_shape[1:]
        print(
            f"rszoo: {resized} of {len(voted)} images were resized or cropped to {width} x {height} pixels; a radius is a "
            "distance between images of that size, not between files.",
            file=sys.stderr,
        )
    if json:
        print_json([each.as_json() for each in voted])
    elif radii is None:
        print_table(("image", *EVIDENCE), [(str(each.image), *evidence(each)) for each in voted])
    else:
        rows = [(str(each.image), *evidence(each), each.result.stopped) for each in voted]
        print_table(("image", *EVIDENCE, "stopped"), rows)


def evidence(voted: Voted[Certificate]) -> tuple[str, ...]:
    """The cells of the columns `EVIDENCE`; radius and p_lower are rounded down."""
    found = voted.result
    radius = "-" if found.abstained else round_down(found.radius, 3)
    return (
        voted.label or "abstain",
        radius,
        round_down(found.p_lower, 4),
        str(found.n),
        f"{voted.seconds:.1f} s",
    )
