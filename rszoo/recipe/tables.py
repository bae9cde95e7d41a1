"""The tables of a recipe.

Nothing that changes the weights has a default: a key is either required, or its absence means that
the recipe does without what it names. `rszoo train --new` takes its comments from the lines here.
"""

import hashlib
import re
from sys import float_info
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

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
    """What the card tells its reader.

    Attributes:
        summary: the method in one sentence.
        paper: address of the paper that is followed.
        license: of the weights, as the Hub writes it.
        notes: where the settings come from, and which were tried.
    """

    summary: str
    paper: str
    license: str
    notes: str


class Model(Table, frozen=True):
    """The classifier.

    Attributes:
        dataset: a data set's name.
        architecture: an architecture's name; timm/NAME?OPTION=VALUE and torchvision/NAME work too.
        sigma: standard deviation of the noise to certify at, in pixel units.
        variant: last word of the name, where one method has several recipes.
    """

    dataset: str
    architecture: str
    sigma: Positive
    variant: str | None = None


class SGD(Table, frozen=True, tag="sgd", tag_field="name"):
    """Stochastic gradient descent.

    Attributes:
        name: sgd, adamw or muon.
        momentum: in [0, 1).
        nesterov: whether the momentum is Nesterov's.
        weight_decay: of all parameters.
    """

    momentum: Fraction
    nesterov: bool
    weight_decay: NonNegative


class AdamW(Table, frozen=True, tag="adamw", tag_field="name"):
    """Adam with decoupled weight decay.

    Attributes:
        name: sgd, adamw or muon.
        beta1: decay of the mean of gradients, in [0, 1).
        beta2: decay of the mean of their squares, in [0, 1).
        eps: added to the root of that mean.
        weight_decay: of all parameters, times the rate.
    """

    beta1: Fraction
    beta2: Fraction
    eps: Positive
    weight_decay: NonNegative


class Muon(Table, frozen=True, tag="muon", tag_field="name"):
    """Steps along the nearest orthogonal matrix to the momentum; needs torch 2.9 or newer.

    It trains the weights of the convolutions and linear layers, each as a matrix (outputs, inputs),
    but for the first and the last layer of the network. The table `rest` trains those two, biases
    and batch norms, by the same schedule.

    Attributes:
        name: sgd, adamw or muon.
        momentum: in [0, 1).
        nesterov: whether the momentum is Nesterov's.
        weight_decay: of the matrices, times the rate.
        scaling: of the rate by a matrix's shape, original or match_rms_adamw.
        rest_rate: the schedule's rate for the rest.
        rest: a table, sgd or adamw.
    """

    momentum: Fraction
    nesterov: bool
    weight_decay: NonNegative
    scaling: Literal["original", "match_rms_adamw"]
    rest_rate: Positive
    rest: SGD | AdamW


class OneCycle(Table, frozen=True, tag="one-cycle", tag_field="name"):
    """torch's OneCycleLR: a cosine from rate / 25 up to `rate`, then one down to 0.

    Attributes:
        name: one-cycle, step or cosine.
        rate: the highest learning rate.
        warmup: share of all steps on the way up.
    """

    rate: Positive
    warmup: Fraction


class Step(Table, frozen=True, tag="step", tag_field="name"):
    """Drops at fixed epochs: the papers' schedule on CIFAR-10 and ImageNet.

    Attributes:
        name: one-cycle, step or cosine.
        rate: the first learning rate.
        every: epochs between two drops.
        factor: of the rate at each drop.
    """

    rate: Positive
    every: Count
    factor: Positive


class Cosine(Table, frozen=True, tag="cosine", tag_field="name"):
    """Linear from 0 up to `rate`, then a cosine down to 0.

    Attributes:
        name: one-cycle, step or cosine.
        rate: the highest learning rate.
        warmup: epochs on the way up.
    """

    rate: Positive
    warmup: NonNegative


class Extra(Table, frozen=True):
    """Pseudo-labelled images for self-training.

    Attributes:
        file: .npz under RSZOO_DATA with `images` (N, H, W, C) uint8 and `labels` (N,).
        weight: of the losses of these images.
    """

    file: str
    weight: Positive


class Training(Table, frozen=True):
    """The optimization.

    Attributes:
        epochs: passes over the training images.
        batch_size: images per step.
        augmentation: none, flip, crop-flip or, for images in files, resized-crop-flip.
        precision: float32 or bfloat16; the weights are float32.
        seed: of all randomness in the run.
        optimizer: a table.
        schedule: a table.
        label_smoothing: of the method's cross-entropy terms.
        noise_sigma: of the training noise, where it is not the certified sigma; 0 is no noise.
        ema_decay: makes the result an exponential moving average of the weights over steps.
        clip_norm: largest l2 norm of the whole gradient.
        hold_out: how many training images, the last of all or of each class, to monitor instead.
        init_from: name of the entry whose weights are the start; a smaller one of the family grows.
        teacher: name of the entry that a method learns from, catrs or distilled.
        teacher_votes: the teacher's votes per training image, for catrs.
        extra: a table of pseudo-labelled images, with `file` and `weight`.
    """

    epochs: Count
    batch_size: Count
    augmentation: Literal["none", "flip", "crop-flip", "resized-crop-flip"]
    precision: Precision
    seed: Seed
    optimizer: SGD | AdamW | Muon
    schedule: OneCycle | Step | Cosine
    label_smoothing: Fraction | None = None
    noise_sigma: NonNegative | None = None
    ema_decay: Fraction | None = None
    clip_norm: Positive | None = None
    hold_out: Count | None = None
    init_from: str | None = None
    teacher: str | None = None
    teacher_votes: Count | None = None
    extra: Extra | None = None


class Inference(Table, frozen=True):
    """The form in which the classifier votes: part of its identity, because rounding decides votes.

    Attributes:
        precision: float32 or bfloat16.
        noise: float, or grid: whole steps of 1/255, for images of 8 bits.
    """

    precision: Precision
    noise: NoiseKind


class Certification(Table, frozen=True):
    """The evaluation: CERTIFY on every `stride`-th image.

    Attributes:
        split: train or test.
        stride: distance between the images to certify.
        n0: samples per image that choose the class.
        n: samples per image that bound its probability.
        alpha: failure probability per image.
        bound: cohen, joint, tcertify or bonferroni.
        seed: of the noise.
    """

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
                "Expected a method name in [method], got none; "
                "add a line such as name = 'gaussian'."
            )

    @property
    def method_name(self) -> str:
        """The training method, a key of `rszoo.training.methods.METHODS`."""
        return str(self.method["name"])

    @property
    def name(self) -> str:
        """`<dataset>-<architecture>-<method>[-<variant>]-s<sigma>`, the one name of the entry."""
        model = self.model
        architecture = architecture_word(model.architecture)
        sigma = f"s{sigma_text(model.sigma)}"
        parts = (model.dataset, architecture, self.method_name, model.variant, sigma)
        return "-".join(part for part in parts if part)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what decides the weights: [model], [method], [training] in canonical form."""
        decisive = {"model": self.model, "method": self.method, "training": self.training}
        return hashlib.sha256(msgspec.json.encode(decisive, order="sorted")).hexdigest()


def architecture_word(architecture: str) -> str:
    """A network as names carry it, without family: `vit?img_size=32&x=1` is `vit-img_size32-x1`."""
    network, _, options = architecture.partition("?")
    words = [re.sub(r"[^a-zA-Z0-9_.-]", "", option) for option in options.split("&") if option]
    return "-".join([re.sub(r"^(\d+x)?.*/", r"\1", network), *words])


def sigma_text(sigma: float) -> str:
    """Sigma as names carry it: two decimals, more where two would change its value."""
    text = f"{sigma:.2f}"
    return text if float(text) == sigma else repr(sigma)
