"""`rszoo certify`: CERTIFY on image files."""

import sys
from collections.abc import Sequence
from typing import Annotated, Any

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
    VotesOption,
    parse_numbers,
)
from rszoo.cli.output import print_json, print_table
from rszoo.logs.format import round_down, round_up
from rszoo.smoothing.certificate import Certificate, SoftCertificate

COLUMNS = ("label", "radius", "p_lower", "n", "time")
SOFT_COLUMNS = ("label", "radius", "lower", "upper", "n", "time")

Certified = Voted[Certificate] | Voted[SoftCertificate]


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
    votes: VotesOption = "hard",
    bound: Annotated[
        str | None,
        Option(
            help="The radius rule: cohen, joint, tcertify or bonferroni; of soft votes betting, "
            "bernstein or hoeffding. Keeping the best of several voids alpha.",
            show_default="cohen; betting",
        ),
    ] = None,
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

    options: dict[str, Any] = {
        "n0": n0,
        "n": n,
        "alpha": alpha,
        "bound": bound,
        "radius": None if radius is None else parse_numbers(radius, "--radius"),
        "tolerance": tolerance,
        "seed": seed,
        "batch_size": batch_size,
    }
    classifier = load(name, device=device)
    if votes == "soft":
        soft = vote(classifier, images, lambda x: classifier.certify(x, votes="soft", **options))
        _print(soft, classifier.input_shape, SOFT_COLUMNS, json=json)
        return
    voted = vote(classifier, images, lambda x: classifier.certify(x, **options))
    stopped = () if radius is None else ("stopped",)
    _print(voted, classifier.input_shape, (*COLUMNS, *stopped), json=json)


def _print(
    voted: Sequence[Certified],
    shape: tuple[int, int, int],
    columns: tuple[str, ...],
    *,
    json: bool,
) -> None:
    if json:
        print_json([image.as_json() for image in voted])
        return
    if resized := sum(image.resized for image in voted):
        height, width = shape[1:]
        print(
            f"rszoo: {resized} of {len(voted)} images were resized or cropped to {width} x "
            f"{height} pixels; a radius is a distance between images of that size, not between "
            "files.",
            file=sys.stderr,
        )
    rows = [(str(image.path), *cells(image)[: len(columns)]) for image in voted]
    print_table(("image", *columns), rows)


def cells(voted: Certified) -> tuple[str, ...]:
    """The cells of `COLUMNS` and "stopped", or of `SOFT_COLUMNS`; rounded to the safe side."""
    certificate = voted.result
    radius = "-" if certificate.abstained else round_down(certificate.radius, 3)
    start = voted.label or "abstain", radius
    end = str(certificate.n), f"{voted.seconds:.1f} s"
    if isinstance(certificate, SoftCertificate):
        return *start, round_down(certificate.lower, 4), round_up(certificate.upper, 4), *end
    return *start, round_down(certificate.p_lower, 4), *end, certificate.stopped
