"""The machine: its devices, how many samples they take at once, and how a process uses its memory.

Two settings of a process that votes on a CPU change its speed and no result. Freed memory stays
with the process: glibc returns large freed blocks to the system, which clears them page by page
when the next forward pass takes them. And a thread of the network that waits for work stops
spinning after a tenth of a millisecond: libgomp lets it spin for some milliseconds, on a core that
could draw noise.
"""

import ctypes
import math
import os
import platform
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from rszoo.smoothing.form import VotingForm

M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -3, -1
LARGEST_BLOCK, KEPT = 2**25, 2**30  # glibc takes no larger block from its heap
SPINS = "30000"

CORE_BATCH = 64  # samples per core: the activations of a small network stay in its cache
DEVICE_BATCH, DEVICE_VALUES = 2048, 2**26
ATTACK_BATCH = 64
ATTACK_DEVICE_BATCH = 1024
ATTACK_VALUES = 2**22
MEMORY_SHARE = 0.25


def tune_process() -> bool:
    """Keep up to 1 GiB of freed memory, let waiting threads sleep; call it before importing torch.

    The command line does this for its own processes. A spin count set in the environment is kept.

    Returns:
        Whether this C library can keep freed memory; only glibc's does.

    Source: mallopt(3); GOMP_SPINCOUNT in the manual of libgomp.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(
        (mallopt(M_MMAP_THRESHOLD, LARGEST_BLOCK), mallopt(M_TRIM_THRESHOLD, KEPT))
    )


def attack_batch(shape: tuple[int, int, int], device: "torch.device") -> int:
    """How many noisy images an attack passes through the network at once.

    It depends on the image shape and the kind of device alone: rounding, and so what an attack
    finds, depends on it, so it must not follow the memory at hand.
    """
    limit = ATTACK_BATCH if device.type == "cpu" else ATTACK_DEVICE_BATCH
    return max(1, min(limit, ATTACK_VALUES // math.prod(shape)))


def default_batch(form: "VotingForm", shape: tuple[int, int, int], device: "torch.device") -> int:
    """A batch size that fills the device.

    On a CPU, where it does not affect rounding, it takes at most a quarter of the free memory.
    """
    import torch

    if device.type != "cpu":
        return max(1, min(DEVICE_BATCH, DEVICE_VALUES // math.prod(shape)))
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    fitting = int(MEMORY_SHARE * free / form.sample_bytes)
    return max(1, min(CORE_BATCH * torch.get_num_threads(), fitting))


def find_device(device: "str | torch.device") -> "torch.device":
    """The torch device of that name.

    Raises:
        ValueError: it is not a device name, or there is no such device here.
    """
    import torch

    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"Expected a device such as 'cpu' or 'cuda:0', got {device!r}; correct the name."
        ) from error
    if found.type not in ("cpu", "cuda"):
        raise ValueError(
            f"Expected a device of kind cpu or cuda, got {str(found)!r}; use one of these."
        )
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found.type == "cuda" and (found.index or 0) >= count:
        raise ValueError(
            f"Expected device {str(found)!r}, got a machine with {count} CUDA devices; "
            "use device='cpu'."
        )
    return found


def device_name(device: "torch.device") -> str:
    """The vendor's name of a GPU; of a CPU, its architecture and the instructions torch finds."""
    import torch

    from rszoo.smoothing.precision import multiplies_bfloat16

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    vectors = torch.backends.cpu.get_cpu_capability()
    bfloat16 = " and bfloat16" if multiplies_bfloat16() else ""
    return f"{platform.machine()} with {vectors}{bfloat16}"
