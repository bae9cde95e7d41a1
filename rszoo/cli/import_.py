"""`rszoo import`: turn a checkpoint of the papers into an entry that 'local-dir:' loads."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from rszoo.cli.names import complete_dataset
from rszoo.cli.options import Device


def import_entry(
    file: Annotated[
        Path,
        Argument(
            metavar="FILE", help="A checkpoint: a dict with 'state_dict' or 'net', by torch.save."
        ),
    ],
    *,
    dataset: Annotated[
        str,
        Option(
            autocompletion=complete_dataset, help="What it was trained on: cifar10, imagenet ..."
        ),
    ],
    sigma: Annotated[float, Option(help="The noise it was trained for, pixels in [0, 1].")],
    out: Annotated[Path, Option(metavar="DIR", help="A new or empty folder.")],
    arch: Annotated[
        str | None, Option(help="resnet110, resnet50 ...", show_default="what the file names")
    ] = None,
    normalization: Annotated[
        str,
        Option(
            help="standard: (x - mean) / std; center: x - mean; none; auto: from the file, or else "
            "the best on noisy test images."
        ),
    ] = "auto",
    method: Annotated[
        str, Option(help="A word for the name, such as gaussian or smoothadv.")
    ] = "imported",
    license: Annotated[
        str, Option(help="SPDX identifier of the licence of the weights.")
    ] = "unknown",
    device: Device = "cpu",
) -> None:
    """Turn a checkpoint of Cohen et al., Salman et al., MACER, Consistency ... into an entry."""
    from rszoo.publishing.checkpoints import import_checkpoint
    from rszoo.smoothing.runtime import find_device

    imported = import_checkpoint(
        file,
        out,
        dataset=dataset,
        sigma=sigma,
        architecture=arch,
        normalization=normalization,
        method=method,
        license=license,
        device=find_device(device),
    )
    for name, accuracy in imported.accuracies.items():
        print(f"Accuracy with normalization {name}: {accuracy:.1%} on noisy test images.")
    if not imported.checked:
        print("The file has no checksums, so that damage to a weight would not have been noticed.")
    config = imported.config
    print(f"Normalization: {imported.normalization}, mean {config.mean}, std {config.std}.")
    if config.license == "unknown":
        print("The licence of the weights is recorded as 'unknown'; set it with --license.")
    print(f"Complete: {out} holds the entry {config.name}; load it as 'local-dir:{out}'.")
