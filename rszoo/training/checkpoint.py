"""The checkpoint of a run, from which it goes on to the same weights."""

import hashlib
import io
import json
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from rszoo.files import remove_leftovers, replace_content, replacing, whole_lines
from rszoo.training.distributed import from_first
from rszoo.training.methods import Weighing
from rszoo.training.run import Run
from rszoo.training.sealing import is_intact, seal
from rszoo.zoo.config import CONFIG, EPOCHS, WEIGHTS

CHECKPOINT = "checkpoint.pt"


def save(run: Run, folder: Path) -> None:
    """Replace the checkpoint at once: a run that is killed has the last one or this one."""
    identity = {
        "fingerprint": run.recipe.fingerprint,
        "data_sha256": run.data.digest(),
        "device": run.device.type,
    }
    with replacing(folder / CHECKPOINT) as partial:
        try:
            torch.save({**_state(run), **identity}, partial)
            seal(partial)
        except RuntimeError as error:  # torch's words for a file that cannot be written
            raise OSError(
                f"Expected room for a checkpoint in {folder}, got this fault: {error}; make room."
            ) from error


def resume(run: Run, folder: Path) -> None:
    """Go on from the folder's checkpoint, if there is one; drop the log's lines after it.

    Raises:
        ValueError: the folder holds a run of another recipe, on other data or on another kind of
            device, or a damaged checkpoint or log.
    """
    remove_leftovers(folder / CHECKPOINT)
    if (folder / CHECKPOINT).exists():
        _restore(run, folder)
    if (folder / EPOCHS).exists():
        _cut_log(folder / EPOCHS, run.step)


def follow_first(run: Run) -> None:
    """Give the run of every process the state that process 0 has."""
    if run.share.of == 1:
        return
    content = io.BytesIO()
    if run.share.number == 0:
        torch.save(_state(run), content)
    content = io.BytesIO(from_first(content.getvalue()))
    if run.share.number:
        _load(run, torch.load(content, map_location=run.device, weights_only=True))


def digest(network: nn.Module) -> str:
    """SHA-256 of all weights and buffers of a network."""
    found = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        found.update(name.encode())
        found.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def check_folder(folder: Path) -> None:
    """Raise ValueError if it is a file, or holds an entry without its checkpoint.

    Training would replace that entry.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(
            f"Expected a folder for the run, got {folder}, which is a file; choose another path."
        )
    entry = [name for name in (WEIGHTS, CONFIG) if (folder / name).exists()]
    if entry and not (folder / CHECKPOINT).exists():
        raise ValueError(
            f"Expected a new folder or one with a run, got {folder}, which holds {entry[0]}; "
            "choose another."
        )


def _parts(run: Run) -> dict[str, Any]:
    """What has a state."""
    parts: dict[str, Any] = {"network": run.network, "average": run.average}
    for number, (optimizer, scheduler) in enumerate(
        zip(run.optimizers, run.schedulers, strict=True)
    ):
        suffix = f" {number}" if number else ""
        parts |= {f"optimizer{suffix}": optimizer, f"scheduler{suffix}": scheduler}
    parts["teacher"] = run.teacher
    parts["sampler"] = run.sampler if isinstance(run.method, Weighing) else None
    return {name: part for name, part in parts.items() if part is not None}


def _is_same_data(run: Run, state: dict[str, Any]) -> bool:
    """Whether the run is on the data of a checkpoint; an old one knows only its labels."""
    if "data_sha256" in state:
        return bool(state["data_sha256"] == run.data.digest())
    labels = run.data.labels.cpu().numpy().tobytes()
    return bool(state["data"] == hashlib.sha256(labels).hexdigest())


def _restore(run: Run, folder: Path) -> None:
    recipe, device = run.recipe, run.device.type
    try:
        if not is_intact(folder / CHECKPOINT):
            raise ValueError("its checksum is that of another file")
        state = torch.load(folder / CHECKPOINT, map_location=run.device, weights_only=True)
        fingerprint, _ = state["fingerprint"], state["step"]
        same_data = _is_same_data(run, state)
    except (RuntimeError, EOFError, KeyError, TypeError, UnpicklingError, ValueError) as error:
        raise ValueError(
            f"Expected a checkpoint of a run, got {folder / CHECKPOINT}, which is damaged or "
            "another file; delete it."
        ) from error
    began = state.get("device", device)
    checks = (
        (
            fingerprint == recipe.fingerprint,
            f"a run of {recipe.name} as the recipe is now",
            "a run of another recipe; choose another folder",
        ),
        (
            same_data,
            f"a run on {recipe.model.dataset} as it is now",
            "a run on other data; choose another folder, or put the data back",
        ),
        (
            began == device,
            f"a run on {device}",
            f"one that began on {began}, which draws other noise; go on there, "
            "or choose another folder",
        ),
    )
    for passed, expected, got in checks:
        if not passed:
            raise ValueError(f"Expected {expected} in {folder}, got {got}.")
    _load(run, state)


def _state(run: Run) -> dict[str, Any]:
    losses = torch.stack(run.losses) if run.losses else torch.zeros(0)
    state = {name: part.state_dict() for name, part in _parts(run).items()}
    return {**state, "step": run.step, "losses": losses}


def _load(run: Run, state: dict[str, Any]) -> None:
    run.step, run.losses = state["step"], list(state.get("losses", torch.zeros(0)).unbind())
    for name, part in _parts(run).items():
        part.load_state_dict(state[name])


def _cut_log(path: Path, step: int) -> None:
    """Keep the complete lines up to this step."""
    try:
        lines = whole_lines(path.read_bytes())
        kept = b"".join(line + b"\n" for line in lines if json.loads(line)["step"] <= step)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"Expected one JSON object per line in {path}, got others; restore or delete it."
        ) from error
    replace_content(path, kept)
