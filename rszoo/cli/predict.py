"""`rszoo predict`: PREDICT on image files."""

from typing import Annotated

from typer import Option

from rszoo.cli.images import vote
from rszoo.cli.options import Alpha, BatchSize, Device, Images, Json, Name, Seed
from rszoo.cli.output import print_json, print_table, round_up


def predict(
    name: Name,
    images: Images,
    *,
    n: Annotated[
        int,
        Option(
            help="Noise samples per image; raising it until a class is returned voids alpha "
            "(--early does not)."
        ),
    ] = 1000,
    alpha: Alpha = 0.001,
    early: Annotated[
        bool, Option("--early", help="Stop as soon as the answer is settled, at the same alpha.")
    ] = False,
    seed: Seed = 0,
    device: Device = "cpu",
    batch_size: BatchSize = None,
    json: Json = False,
) -> None:
    """Predict the class of images by a vote under noise, or abstain."""
    from rszoo.zoo.loading import load

    classifier = load(name, device=device)
    voted = vote(
        classifier,
        images,
        lambda x: classifier.predict(
            x, n=n, alpha=alpha, early=early, seed=seed, batch_size=batch_size
        ),
    )
    if json:
        print_json([image.as_json() for image in voted])
        return
    rows = [
        (
            str(image.path),
            image.label or "abstain",
            round_up(image.result.p_value, 2),
            str(image.result.n),
            f"{image.seconds:.1f} s",
        )
        for image in voted
    ]
    print_table(("image", "label", "p_value", "n", "time"), rows)
