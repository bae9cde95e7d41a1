"""A recipe: everything that decides the weights of a zoo entry, and the protocol of its evaluation.

A recipe is a TOML file. Nothing that changes the weights has a default: a key is either required, or its absence means
that the technique it names is not used. `Recipe.fingerprint` identifies the weights a recipe makes; the words in `[about]`
and the protocol in `[certification]` are not part of it.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from sys import float_info
from typing import Annotated, Literal, cast

import msgspec
from msgspec import Meta

from rszoo.errors import decoded, guess

LARGEST = float_info.max  # finite
Positive = Annotated[float, Meta(gt=0, le=LARGEST)]
NonNegative = Annotated[float, Meta(ge=0, le=LARGEST)]
Fraction = Annotated[float, Meta(ge=0, lt=1)]
Count = Annotated[int, Meta(ge=1)]
Natural = Annotated[int, Meta(ge=0)]
Seed = Annotated[int, Meta(ge=0, lt=2**32)]
Precision = Literal["float32", "bfloat16"]
NoiseKind = Literal["float", "grid"]
Parameter = str | bool | int | float


class Table(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """One table of a recipe."""


class About(Table, frozen=True):
    """What a reader of the card is told: summary, the paper that is followed, licence of the weights, what was tried."""

    summary: str
    paper: str
    license: str
    notes: str


class Model(Table, frozen=True):
    """The classifier: data set, architecture, the sigma it is certified at, the variant that its name carries."""

    dataset: str
    architecture: str
    sigma: Positive
    variant: str | None = None


class Optimizer(Table, frozen=True):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"]
    momentum: Fraction
    nesterov: bool
    weight_decay: NonNegative


class OneCycle(Table, frozen=True, tag="one-cycle", tag_field="name"):
    """torch's OneCycleLR: a cosine from rate / 25 up to `rate` during the first `warmup` of all steps, then one to 0."""

    rate: Positive
    warmup: Fraction


class Step(Table, frozen=True, tag="step", tag_field="name"):
    """`rate`, times `factor` after each `every` epochs: the papers' schedule on CIFAR-10 and ImageNet."""

    rate: Positive
    every: Count
    factor: Positive


class Cosine(Table, frozen=True, tag="cosine", tag_field="name"):
    """Linear from 0 to `rate` during the first `warmup` epochs, then a cosine to 0."""

    rate: Positive
    warmup: NonNegative


class Extra(Table, frozen=True):
    """Pseudo-labelled images for self-training: an .npz under RSZOO_DATA with `images` (N, H, W, C) uint8 and `labels` (N,).

    Their losses count `weight` times.
    """

    file: str
    weight: Positive


class Training(Table, frozen=True):
    """The optimisation: `batch_size` images a step, `augmentation` of the clean image, then the method's loss.

    Absent means not used:
        label_smoothing: of the method's cross-entropy terms.
        noise_sigma: standard deviation of the training noise where it is not the certified sigma; 0 trains without noise.
        ema_decay: the weights are an exponential moving average over steps.
        clip_norm: largest l2 norm of the whole gradient.
        group_size: images that share batch statistics and a backward pass; the whole batch if absent. Processes divide groups.
        hold_out: training images, the last ones, that are not trained on but monitored.
        init_from: the zoo entry whose weights are the start.
        extra: pseudo-labelled images.
    """

    epochs: Count
    batch_size: Count
    augmentation: Literal["none", "flip", "crop-flip", "resized-crop-flip"]
    precision: Precision
    seed: Seed
    optimizer: Optimizer
    schedule: OneCycle | Step | Cosine
    label_smoothing: Fraction | None = None
    noise_sigma: NonNegative | None = None
    ema_decay: Fraction | None = None
    clip_norm: Positive | None = None
    group_size: Count | None = None
    hold_out: Count | None = None
    init_from: str | None = None
    extra: Extra | None = None

    def __post_init__(self) -> None:
        if self.group_size is not None and self.batch_size % self.group_size:
            raise ValueError(
                f"Expected group_size to divide batch_size={self.batch_size}, got {self.group_size}"
            )


class Inference(Table, frozen=True):
    """The form in which the classifier votes: part of its identity, because rounding decides votes."""

    precision: Precision
    noise: NoiseKind


class Certification(Table, frozen=True):
    """The evaluation protocol: every `stride`-th image of `split`, CERTIFY with n0, n, alpha, bound."""

    split: Literal["train", "test"]
    stride: Count
    n0: Count
    n: Count
    alpha: Annotated[float, Meta(gt=0, lt=1)]
    bound: Literal["cohen", "joint", "tcertify", "bonferroni"]
    seed: Seed


class Recipe(Table, frozen=True):
    """A validated recipe; `method` holds the method's name and its hyper-parameters."""

    about: About
    model: Model
    method: dict[str, Parameter]
    training: Training
    inference: Inference
    certification: Certification

    def __post_init__(self) -> None:
        if not isinstance(self.method.get("name"), str):
            raise ValueError(
                "Expected a method name in [method], got none; add a line such as name = 'gaussian'."
            )

    @property
    def method_name(self) -> str:
        """The training method, a key of `rszoo.training.methods.METHODS`."""
        return str(self.method["name"])

    @property
    def name(self) -> str:
        """`<dataset>-<architecture>-<method>[-<variant>]-s<sigma>`: the one name of recipe, card and repository."""
        model = self.model
        architecture = model.architecture.rpartition("/")[2]
        parts = [
            model.dataset,
            architecture,
            self.method_name,
            model.variant,
            f"s{sigma_text(model.sigma)}",
        ]
        return "-".join(part for part in parts if part)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what decides the weights: the tables [model], [method] and [training], in canonical form."""
        decisive = {"model": self.model, "method": self.method, "training": self.training}
        return hashlib.sha256(msgspec.json.encode(decisive, order="sorted")).hexdigest()


def sigma_text(sigma: float) -> str:
    """Sigma as names carry it: two decimals, more where two would change its value."""
    text = f"{sigma:.2f}"
    return text if float(text) == sigma else repr(sigma)


def parse_recipe(text: str | bytes, source: str) -> Recipe:
    """Read a recipe from TOML text; `source` names it in errors.

    Raises:
        ValueError: not TOML, an unknown or missing key, a wrong type, or a value out of range.
    """
    try:
        return decoded(text, Recipe)
    except ValueError as error:
        raise ValueError(
            f"Expected a valid recipe in {source}, got a file with this fault: {error}."
        ) from error


def recipe_folder() -> Path:
    """The folder of the recipes: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / "training_recipes"
    return inside if inside.is_dir() else package.parent / "training_recipes"


def recipe_names() -> list[str]:
    """The names of all recipes, sorted."""
    return sorted(path.stem for path in recipe_folder().glob("*.toml"))


def load_recipe(name_or_path: str) -> Recipe:
    """The recipe of a zoo entry, by its name or by the path of a TOML file.

    Raises:
        FileNotFoundError: there is no such recipe.
        ValueError: the file is not a valid recipe.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = recipe_folder() / f"{name_or_path}.toml"
    if not path.is_file():
        meant = guess(name_or_path, recipe_names())
        raise FileNotFoundError(
            f"Expected a recipe's name or a .toml file, got {name_or_path!r}; {meant}'rszoo list --all' prints the names."
        )
    return parse_recipe(path.read_bytes(), str(path))


def recipe_text(recipe: Recipe, *, about: bool = True) -> str:
    """The recipe as TOML; read again, it is the same recipe. Without `about`, its prose is left out."""
    tables = cast(dict[str, Mapping[str, object]], msgspec.to_builtins(recipe))
    wanted = {name: table for name, table in tables.items() if about or name != "about"}
    return "\n\n".join(text for name, table in wanted.items() for text in _tables(name, table))


def _tables(name: str, table: Mapping[str, object]) -> Iterator[str]:
    lines = [
        f"{key} = {json.dumps(value)}"
        for key, value in table.items()
        if not isinstance(value, Mapping)
    ]
    yield "\n".join([f"[{name}]", *lines])
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _tables(f"{name}.{key}", value)
