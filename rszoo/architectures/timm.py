"""Any image classifier of timm, by its timm name."""

from torch import nn


def timm_network(name: str, num_classes: int, channels: int) -> nn.Module:
    """timm's model `name` without weights, with `num_classes` logits; parameter names are timm's.

    Raises:
        ValueError: timm has no such model.
    """
    import timm  # slow to import, and needed for these architectures only

    if not timm.is_model(name):
        near = ", ".join(f"timm/{match}" for match in timm.list_models(f"*{name}*")[:3])
        hint = f"similar ones are {near}" if near else "see timm.list_models()"
        raise ValueError(f"Unknown architecture 'timm/{name}'; {hint}.")
    network: nn.Module = timm.create_model(
        name, pretrained=False, num_classes=num_classes, in_chans=channels
    )
    return network
