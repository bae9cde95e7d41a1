"""ResNet-50 for ImageNet from torchvision: the base classifier of Cohen et al. 2019 and their successors on ImageNet."""

from torch import nn
from torchvision.models import resnet50 as torchvision_resnet50


def resnet50(num_classes: int, channels: int = 3) -> nn.Module:
    """torchvision's ResNet-50 without weights, for inputs (B, 3, 224, 224); parameter names are torchvision's.

    Raises:
        ValueError: channels is not 3.
    """
    if channels != 3:
        raise ValueError(
            f"Expected 3 channels for resnet50, got {channels}; use timm/resnet50 for other inputs."
        )
    network: nn.Module = torchvision_resnet50(weights=None, num_classes=num_classes)
    return network
