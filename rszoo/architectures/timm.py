"""Any image classifier of timm, by its timm name."""

from functools import partial

from torch import nn

from rszoo.architectures.options import built_with, split_options

RESERVED = {
    "pretrained",
    "num_classes",
    "in_chans",
    "checkpoint_path",
    "cache_dir",
    "features_only",
}
RESERVED |= {"pretrained_cfg", "pretrained_cfg_overlay", "pretrained_strict", "out_indices"}
RESERVED |= {"model_name", "scriptable", "exportable", "no_jit", "feature_cfg", "kwargs_filter"}
RESERVED |= {"model_cfg", "pretrained_filter_fn"}


def timm_network(name: str, num_classes: int, channels: int) -> nn.Module:
    """timm's model `name` without weights, with `num_classes` logits; parameter names are timm's.

    The name may end in options of the model: `vit_tiny_patch16_224?img_size=32&patch_size=4`.

    Raises:
        ValueError: timm has no such model, or the model no such option.
    """
    name, options = split_options(name)
    import timm  # slow to import, and needed for these architectures only

    if not timm.is_model(name):
        near = ", ".join(f"timm/{match}" for match in timm.list_models(f"*{name}*")[:3])
        hint = f"similar ones are {near}" if near else "see timm.list_models()"
        raise ValueError(f"Unknown architecture 'timm/{name}'; {hint}.")
    make = partial(
        timm.create_model, name, pretrained=False, num_classes=num_classes, in_chans=channels
    )
    return built_with(make, f"timm/{name}", options, reserved=RESERVED)
