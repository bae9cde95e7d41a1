"""Any image classifier of torchvision, by its torchvision name."""

from functools import partial

from torch import nn

from rszoo.architectures.options import built_with, split_options

RESERVED = {"name", "weights", "weights_backbone", "pretrained", "num_classes", "progress"}


def torchvision_network(name: str, num_classes: int, channels: int = 3) -> nn.Module:
    """torchvision's model `name` without weights, with `num_classes` logits.

    Its parameter names are torchvision's. The name may end in options of the model:
    `resnet50?width_per_group=128`.

    Raises:
        ValueError: torchvision has no such image classifier, or the model no such option, or
            channels is not 3.
    """
    name, options = split_options(name)
    from torchvision import models  # slow to import, and needed for these architectures only

    if name not in models.list_models(module=models):
        raise ValueError(
            f"Unknown architecture 'torchvision/{name}'; see torchvision.models.list_models()."
        )
    if channels != 3:
        raise ValueError(
            f"Expected 3 channels for torchvision's {name}, got {channels}; "
            "use timm/<name> for other inputs."
        )
    make = partial(models.get_model, name, weights=None, num_classes=num_classes)
    return built_with(make, f"torchvision/{name}", options, reserved=RESERVED)
