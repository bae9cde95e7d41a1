"""Read a checkpoint: the tensors of the network, and what else the file says of it."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rszoo.training.sealing import is_intact

STATE_DICTS = ("state_dict", "net")
KEY = re.compile(r"(?:module\.)*(?:([01])\.)?(?:module\.)*(.+)")
"""`Sequential` numbers the normalization 0 and the network 1; `DataParallel` adds `module` before
that number, behind it, or both."""

ROLES = {"means": "mean", "mean": "mean", "sds": "std", "stds": "std", "std": "std"}


@dataclass(frozen=True)
class Statistics:
    """A normalization layer (x - mean) / std: one value per channel, in pixel units [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Attributes:
        architecture: the authors' name for it, if the file has one.
        tensors: of the network, by their names in it.
        statistics: of the normalization layer, if the file has them.
        checked: whether the file has checksums, which agree. The legacy format of torch has none.
    """

    architecture: str | None
    tensors: dict[str, Tensor]
    statistics: Statistics | None
    checked: bool


def read_checkpoint(path: Path) -> Checkpoint:
    """The content of a file of `torch.save`; nothing in it is executed.

    The state dict is the value of `state_dict`, or of MACER's `net`, or the whole file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it needs more than tensors and plain values, is damaged, or holds no state dict
            of this kind.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"Expected a checkpoint, got {str(path)!r}, which is no file; check the path."
        )
    content = _unpickled(path)
    if (intact := is_intact(path)) is False:
        raise ValueError(
            f"Expected a file of torch.save, whole and without code, got {str(path)!r}, whose "
            "content has another checksum than the file says; copy it again."
        )
    outer = content if isinstance(content, dict) else {}
    state = next((outer[name] for name in STATE_DICTS if name in outer), outer)
    if not (isinstance(state, dict) and state and all(_is_weight(*item) for item in state.items())):
        kind = f"a dict of {sorted(map(str, outer))[:8]}" if outer else type(content).__name__
        raise ValueError(
            f"Expected a state dict, alone or as 'state_dict' or 'net', in {path}, got {kind}; "
            "pass a checkpoint of weights."
        )
    parts: dict[str, dict[str, Tensor]] = {"0": {}, "1": {}}
    for key, tensor in state.items():
        part, name = _split(key)
        if name in parts[part]:
            raise ValueError(
                f"Expected each tensor once in {path}, got {name!r} with and without a prefix; "
                "save it anew."
            )
        parts[part][name] = tensor
    architecture = outer.get("arch")
    return Checkpoint(
        architecture if isinstance(architecture, str) else None,
        parts["1"],
        _statistics(parts["0"], path),
        bool(intact),
    )


def _unpickled(path: Path) -> object:
    try:
        with warnings.catch_warnings(action="ignore"):  # about old formats, which are fine
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a damaged or a hostile file may fail in any way
        needed = re.search(r"GLOBAL ([\w.]+)", str(error))
        if needed is not None:
            raise ValueError(
                f"Expected nothing but tensors and plain values in {path}, got an object of "
                f"{needed[1]}, which could run code, so it was not loaded; "
                "have the author save the state dict alone."
            ) from error
        fault = error.__context__ or error  # without torch's advice to execute the file
        reason = (str(fault).strip().splitlines() or [""])[0][:200]
        raise ValueError(
            f"Expected a file of torch.save, whole and without code, got {str(path)!r} with this "
            f"fault: {type(fault).__name__}: {reason}; copy it again, or have the author save the "
            "state dict alone."
        ) from error


def _is_weight(name: object, value: object) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
    )


def _split(key: str) -> tuple[str, str]:
    """The part a tensor belongs to, "0" (normalization) or "1" (network), and its name there."""
    match = KEY.fullmatch(key)
    return (match[1] or "1", match[2]) if match else ("1", key)


def _statistics(layer: Mapping[str, Tensor], path: Path) -> Statistics | None:
    if not layer:
        return None
    tensors = {ROLES.get(name, name): tensor.float().flatten() for name, tensor in layer.items()}
    finite = all(tensor.isfinite().all() for tensor in tensors.values())
    if not (finite and {"mean"} <= tensors.keys() <= {"mean", "std"}):
        raise ValueError(
            f"Expected finite means and sds in the normalization layer of {path}, got "
            f"{', '.join(sorted(layer))}; such a layer cannot be imported."
        )
    mean = tuple(tensors["mean"].tolist())
    return Statistics(mean, tuple(tensors.get("std", torch.ones(len(mean))).tolist()))
