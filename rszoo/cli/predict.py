"""`rszoo predict`: PREDICT on image files."""

from typing import Annotated

from typer import Option

from rszoo.cli.images import Voted
from rszoo.cli.options import Alpha, BatchSize, Device, Images, Json, JsonLines, Name, Seed
from rszoo.cli.output import round_up
from rszoo.cli.reporting import Form, Report
from rszoo.smoothing.certificate import Prediction


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
    jsonl: JsonLines = False,
) -> None:
    """Predict the class of images by a vote under noise, or abstain."""
    from rszoo.smoothing import procedures
    from rszoo.zoo.loading import load

    classifier = load(name, device=device)
    procedures.prediction(classifier.setting(alpha, seed), n=n, early=early)  # checks the options
    longest = max((*classifier.classes, "abstain"), key=len)
    Report(
        classifier,
        lambda x: classifier.predict(
            x, n=n, alpha=alpha, early=early, seed=seed, batch_size=batch_size
        ),
        Form(
            ("label", "p_value", "n", "time"),
            _cells,
            (longest, "1.2e-300", str(n), "1000.0 s"),
            json=json,
            jsonl=jsonl,
        ),
        samples=n,
        setting=f"n {'at most' if early else '='} {n}, alpha = {alpha:g}",
        batch_size=batch_size,
    ).print(images)


def _cells(voted: Voted[Prediction]) -> list[str]:
    prediction = voted.result
    return [
        voted.label or "abstain",
        round_up(prediction.p_value, 2),
        str(prediction.n),
        f"{voted.seconds:.1f} s",
    ]
