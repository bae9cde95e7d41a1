"""`rszoo demo`: certify a few photographs with a bundled entry; print a table, draw a picture."""

import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from rszoo.cli.certify import COLUMNS, cells, widest
from rszoo.cli.images import Voted, open_image, vote
from rszoo.cli.names import full_name
from rszoo.cli.output import Rows, print_text
from rszoo.cli.plot import check_out
from rszoo.logs.format import round_down
from rszoo.smoothing.certificate import Certificate

if TYPE_CHECKING:
    from rszoo.plots import Panel
    from rszoo.smoothing.classifier import SmoothedClassifier

ENTRY = "cifar10-resnet20-gaussian-s0.25"
PHOTOGRAPHS = Path(__file__).parents[1] / "demo_images"
SOURCES = PHOTOGRAPHS / "SOURCES.toml"
COPIES = 3
SEED = 0


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
        f"{name}: {len(labels)} photographs, n = {n} noisy copies each "
        f"at sigma = {classifier.sigma:g}.\n"
    )
    longest = [max((path.name for path in labels), key=len), max(labels.values(), key=len)]
    rows = Rows(("image", "shows", *COLUMNS), [*longest, *widest(classifier, COLUMNS, n)])
    voted = []
    opened = ((path, open_image(path)) for path in labels)
    for image in vote(classifier, opened, lambda x: classifier.certify(x, n=n, seed=SEED)):
        rows.print((image.path.name, labels[image.path], *cells(image)[: len(COLUMNS)]))
        voted.append(image)
    print_text(
        "\nNo change of the pixels (in [0, 1]) of l2 norm below the radius changes the label, up "
        f"to a failure probability of alpha = {voted[0].result.alpha:g} per line. A certified "
        "label is stable; that it is right is another matter.\n"
        f"The authors and licences of the photographs: {SOURCES}"
    )
    if find_spec("matplotlib") is None:
        print_text("For the picture as well: pip install 'rszoo[plots]'.")
        return
    from rszoo.plots import draw_certificates, save_figure

    panels = [_panel(classifier, image, labels[image.path]) for image in voted]
    save_figure(draw_certificates(panels, classifier.classes), out, dpi=110)
    print_text(f"The picture is in {out}.")


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
    from rszoo.bounds import implied_linf  # scipy is slow to import

    subject, p_lower = f"The photograph shows: {shows}.", round_down(certificate.p_lower, 4)
    if certificate.abstained:
        return [subject, "No class can be certified.", f"p_lower = {p_lower}"]
    levels = round_down(255 * implied_linf(certificate.radius, values), 1)
    return [
        subject,
        f"Certified l2 radius {round_down(certificate.radius, 3)}: the same answer if, say,",
        f"every pixel value moves by up to {levels} of its 255 levels.",
        f"p_lower = {p_lower}, failure probability {certificate.alpha:g}",
    ]
