"""`rszoo demo`: certify a few photographs with a bundled entry; print a table, draw a picture."""

import math
import textwrap
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from rszoo.cli.certify import COLUMNS, cells
from rszoo.cli.images import Voted, open_image, vote
from rszoo.cli.names import full_name
from rszoo.cli.output import print_table, print_text
from rszoo.cli.plot import check_out
from rszoo.logs.format import round_down
from rszoo.smoothing.certificate import Certificate

if TYPE_CHECKING:
    from rszoo.plots import Panel
    from rszoo.smoothing.classifier import SmoothedClassifier

# among the entries of 1 MB the one with the largest certified accuracy at radius 0.25, by its log
ENTRY = "cifar10-resnet20-consistency-finetuned-s0.12"
PHOTOGRAPHS = Path(__file__).parents[1] / "demo_images"
SOURCES = PHOTOGRAPHS / "SOURCES.toml"
COPIES = 3
SEED = 0
CAPTION_WIDE = 165  # characters of a line in the picture


def demo(
    *,
    out: Annotated[Path, Option(metavar="FILE", help="The picture: .png, .pdf or .svg.")] = Path(
        "demo.png"
    ),
    name: Annotated[
        str, Option(callback=full_name, help="The entry, as for 'rszoo certify'.")
    ] = ENTRY,
    n: Annotated[int, Option(help="Noise samples per image.")] = 10_000,
) -> None:
    """Certify the photographs of the package, offline, and draw the votes."""
    check_out(out)
    from rszoo.zoo.loading import load

    sources = tomllib.loads(SOURCES.read_text(encoding="utf-8"))
    labels = {PHOTOGRAPHS / file: source["label"] for file, source in sources.items()}
    classifier = load(name)
    print_text(
        f"Certifying {len(labels)} photographs, each with n = {n} noisy copies, by {name} "
        f"(sigma = {classifier.sigma:g}).\n"
    )
    opened = ((path, open_image(path)) for path in labels)
    voted = list(vote(classifier, opened, lambda x: classifier.certify(x, n=n, seed=SEED)))
    reading = _reading(classifier, voted[0], labels[voted[0].path])
    print_text(f"{reading}\n")
    print_table(
        ("image", "shows", *COLUMNS, "right"),
        [
            (
                image.path.name,
                labels[image.path],
                *cells(image)[: len(COLUMNS)],
                _right(image, labels[image.path]),
            )
            for image in voted
        ],
    )
    print_text(f"\n{_summary(voted, labels)}")
    print_text(f"The authors and licences of the photographs: {SOURCES}")
    if find_spec("matplotlib") is None:
        print_text("For the picture as well: pip install 'rszoo[plots]'.")
        return
    from rszoo.plots import draw_certificates, save_figure

    panels = [_panel(classifier, image, labels[image.path]) for image in voted]
    caption = textwrap.fill(f"The first row: {reading}", CAPTION_WIDE)
    save_figure(draw_certificates(panels, classifier.classes, caption=caption), out, dpi=110)
    print_text(f"The picture is in {out}.")


def _reading(classifier: "SmoothedClassifier", voted: Voted[Certificate], shows: str) -> str:
    """The certificate of a photograph of `shows` in words, for a reader who has never seen one."""
    certificate = voted.result
    selected = classifier.classes[certificate.selected]
    votes = (
        f"{voted.path.name} shows: {shows}. Of its {certificate.n:,} noisy copies "
        f"{certificate.counts[certificate.selected]:,} are labelled {selected}"
    )
    if certificate.abstained:
        return (
            f"{votes}: too few to certify that label. So the classifier abstains: it gives no "
            "label rather than one that a small change of the pixels might alter."
        )
    right = "right" if selected == shows else "wrong, and certified all the same"
    return (
        f"{votes}, so the label is {selected}, which is {right}. The radius "
        f"{round_down(certificate.radius, 3)} means that no change of the pixels (from 0 to 1) "
        "with an l2 norm below it can alter that label; for example, every pixel value may move "
        f"by up to {_levels(certificate, math.prod(classifier.input_shape))} of its 255 levels. "
        f"This fails with a probability of at most alpha = {certificate.alpha:g}. Where the "
        "votes are too few to certify any label, the classifier abstains."
    )


def _levels(certificate: Certificate, values: int) -> str:
    """How far each of so many pixel values may move at once, in 255ths."""
    from rszoo.bounds import implied_linf  # scipy is slow to import

    return round_down(255 * implied_linf(certificate.radius, values), 2)


def _right(voted: Voted[Certificate], shows: str) -> str:
    return "-" if voted.label is None else "yes" if voted.label == shows else "no"


def _summary(voted: Sequence[Voted[Certificate]], labels: Mapping[Path, str]) -> str:
    """How many labels are right, wrong, or none."""
    outcomes = Counter(_right(image, labels[image.path]) for image in voted)
    abstained = f", {outcomes['-']} abstained" if outcomes["-"] else ""
    return (
        f"{outcomes['yes']} of {len(voted)} labels are right, {outcomes['no']} wrong{abstained}. "
        "A certificate says that a label is stable, not that it is right."
    )


def _panel(classifier: "SmoothedClassifier", voted: Voted[Certificate], shows: str) -> "Panel":
    """One row of the picture; its noisy copies are the first of those that voted."""
    from rszoo.plots import Panel
    from rszoo.smoothing.noise import Noise, image_key
    from rszoo.smoothing.requests import Stage

    x = classifier.transform(open_image(voted.path))
    noise = Noise.newest(classifier.noise, classifier.sigma, SEED)
    copies = noise.noisy(x, image_key(x), Stage.ESTIMATE, 0)[:COPIES].clamp(0, 1)
    return Panel(
        shows=shows,
        image=x.permute(1, 2, 0).numpy(),
        copies=[copy.permute(1, 2, 0).numpy() for copy in copies],
        certificate=voted.result,
        words=_words(voted.result, shows, values=x.numel()),
    )


def _words(certificate: Certificate, shows: str, *, values: int) -> list[str]:
    """The certificate of an image with that many pixel values, for a reader new to certificates."""
    subject, p_lower = f"The photograph shows: {shows}.", round_down(certificate.p_lower, 4)
    if certificate.abstained:
        return [subject, "No class can be certified.", f"p_lower = {p_lower}"]
    return [
        subject,
        f"Certified l2 radius {round_down(certificate.radius, 3)}: the same answer if, say,",
        f"every pixel value moves by up to {_levels(certificate, values)} of its 255 levels.",
        f"p_lower = {p_lower}, failure probability {certificate.alpha:g}",
    ]
