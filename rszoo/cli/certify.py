"""`rszoo certify`: CERTIFY on image files."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from rszoo.cli.images import Voted
from rszoo.cli.names import complete_bound
from rszoo.cli.options import (
    Alpha,
    BatchSize,
    Device,
    Images,
    Json,
    JsonLines,
    Name,
    Radii,
    Seed,
    Tolerance,
    VotesOption,
    parse_numbers,
)
from rszoo.cli.reporting import Form, Report
from rszoo.logs.format import round_down, round_up
from rszoo.smoothing.certificate import Certificate, SoftCertificate

if TYPE_CHECKING:
    from rszoo.smoothing.classifier import SmoothedClassifier

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
            autocompletion=complete_bound,
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
    jsonl: JsonLines = False,
) -> None:
    """Certify images: a class, and an l2 radius in pixel units within which it cannot change.

    Or abstain. A radius is a distance between images of the classifier's size, with pixels in
    [0, 1]; for a file of another size it is that of the resized image.
    """
    from rszoo.smoothing.soft import certification
    from rszoo.zoo.loading import load

    options: dict[str, Any] = {
        "n0": n0,
        "n": n,
        "bound": bound,
        "radius": None if radius is None else parse_numbers(radius, "--radius"),
        "tolerance": tolerance,
    }
    drawn: dict[str, Any] = {"alpha": alpha, "seed": seed, "batch_size": batch_size}
    columns = SOFT_COLUMNS if votes == "soft" else COLUMNS
    if radius is not None:
        columns = (*columns, "stopped")
    classifier = load(name, device=device)
    certification(classifier.setting(alpha, seed), votes=votes, **options)  # checks them
    most = "=" if radius is None and tolerance is None else "at most"
    Report(
        classifier,
        lambda x: classifier.certify(x, votes=votes, **options, **drawn),
        Form(
            columns,
            lambda voted: cells(voted)[: len(columns)],
            widest(classifier, columns, n),
            json=json,
            jsonl=jsonl,
        ),
        samples=n0 + n,
        setting=f"n {most} {n}, alpha = {alpha:g}",
        batch_size=batch_size,
    ).print(images)


def widest(classifier: "SmoothedClassifier", columns: Sequence[str], n: int) -> list[str]:
    """Cells as wide as any that `cells` returns."""
    known = {
        "label": max((*classifier.classes, "abstain"), key=len),
        "n": str(n),
        "time": "1000.0 s",
        "stopped": "other class",
    }
    return [known.get(column, "0.0000") for column in columns]


def cells(voted: Certified) -> tuple[str, ...]:
    """The cells of `COLUMNS` and "stopped", or of `SOFT_COLUMNS`; rounded to the safe side."""
    certificate = voted.result
    radius = "-" if certificate.abstained else round_down(certificate.radius, 3)
    start = voted.label or "abstain", radius
    end = str(certificate.n), f"{voted.seconds:.1f} s"
    if isinstance(certificate, SoftCertificate):
        return *start, round_down(certificate.lower, 4), round_up(certificate.upper, 4), *end
    return *start, round_down(certificate.p_lower, 4), *end, certificate.stopped
