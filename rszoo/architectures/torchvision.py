"""Any image classifier of torchvision, by its torchvision name."""

from torch import nn


def torchvision_network(name: str, num_classes: int, channels: int = 3) -> nn.Module:
    """torchvision's model `name` without weights, with `num_classes` logits.

    Its parameter names are torchvision's.

    Raises:
        ValueError: torchvision has no such image classifier, or channels is not 3.
    """
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
    network: nn.Module = models.get_model(name, weights=None, num_classes=num_classes)
    return network
