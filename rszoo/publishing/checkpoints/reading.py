"""A checkpoint's file: the tensors of the network by their own names, and what else the file says of it."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

STATE_DICTS = ("state_dict", "net")
KEY = re.compile(r"(?:module\.)*(?:([01])\.)?(?:module\.)*(.+)")
"""`Sequential` numbers the normalization 0 and the network 1; `DataParallel` adds `module` outside it, inside, or both."""

ROLES = {"means": "mean", "mean": "mean", "sds": "std", "stds": "std", "std": "std"}


@dataclass(frozen=True)
class Statistics:
    """Of a normalization layer (x - mean) / std, one value a channel, in pixel units [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Attributes:
        architecture: by the name that the authors' code has for it, if the file has one.
        tensors: of the network, by their names in it.
        statistics: of the normalization layer, if the file has them.
    """

    architecture: str | None
    tensors: dict[str, Tensor]
    statistics: Statistics | None


def read_checkpoint(path: Path) -> Checkpoint:
    """What a file of `torch.save` holds; nothing in it is executed.

    The state dict is the value of `state_dict`, or of MACER's `net`, or the whole file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it needs more than tensors and plain values, is damaged, or holds no state dict of this kind.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"Expected a checkpoint, got {str(path)!r}, which is no file; check the path."
        )
    content = _unpickled(path)
    outer = content if isinstance(content, dict) else {}
    state = next((outer[name] for name in STATE_DICTS if name in outer), outer)
    if (
        not isinstance(state, dict)
        or not state
        or not all(_is_weight(name, value) for name, value in state.items())
    ):
        raise ValueError(
            f"Expected a state dict, alone or as 'state_dict' or 'net', in {path}, got "
            f"{f'a dict of {sorted(map(str, outer))[:8]}' if outer else type(content).__name__}; pass a checkpoint of weights."
        )
    parts: dict[str, dict[str, Tensor]] = {"0": {}, "1": {}}
    for key, tensor in state.items():
        place, name = _split(key)
        if name in parts[place]:
            raise ValueError(
                f"Expected each tensor once in {path}, got {name!r} with and without a prefix; save it anew."
            )
        parts[place][name] = tensor
    architecture = outer.get("arch")
    return Checkpoint(
        architecture if isinstance(architecture, str) else None,
        parts["1"],
        _statistics(parts["0"], path),
    )


def _unpickled(path: Path) -> object:
    try:
        with warnings.catch_warnings(
            action="ignore"
        ):  # of old formats: what counts is whether the file is read
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a damaged or a hostile file may fail in any way
        needed = re.search(r"GLOBAL ([\w.]+)", str(error))
        if needed is not None:
            raise ValueError(
                f"Expected nothing but tensors and plain values in {path}, got an object of {needed[1]}, which could run code, "
                "so it was not made; have the author save the state dict alone."
            ) from error
        fault = error.__context__ or error  # what was found, without torch's advice to execute it
        reason = (str(fault).strip().splitlines() or [""])[0][:200]
        raise ValueError(
            f"Expected a file of torch.save, whole and without code, got {str(path)!r} with this fault: "
            f"{type(fault).__name__}: {reason}; copy it again, or have the author save the state dict alone."
        ) from error


def _is_weight(name: object, value: object) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
    )


def _split(key: str) -> tuple[str, str]:
    """Where a tensor belongs, "0" for the normalization or "1" for the network, and its name there."""
    match = KEY.fullmatch(key)
    return (match[1] or "1", match[2]) if match else ("1", key)


def _statistics(layer: Mapping[str, Tensor], path: Path) -> Statistics | None:
    if not layer:
        return None
    found = {
        ROLES.get(name, name): tuple(tensor.float().flatten().tolist())
        for name, tensor in layer.items()
    }
    if not {"mean"} <= found.keys() <= {"mean", "std"} or not all(
        torch.tensor(v).isfinite().all() for v in found.values()
    ):
        raise ValueError(
            f"Expected finite means and sds in the normalization layer of {path}, got {', '.join(sorted(layer))}; "
            "such a layer cannot be imported."
        )
    return Statistics(found["mean"], found.get("std", (1.0,) * len(found["mean"])))
