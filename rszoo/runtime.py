"""Two settings of a process that votes on a CPU. They change its speed and no result.

Freed memory stays with the process: glibc gives large freed blocks back to the system, which clears them again, page by page,
when the next pass of the network takes them. And a thread of the network that waits for work stops spinning after a tenth of a
millisecond: libgomp lets it spin for some milliseconds, on a core that could draw noise.
"""

import ctypes
import os
import sys

M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -3, -1
LARGEST_BLOCK, KEPT = 2**25, 2**30  # glibc takes no larger block from its heap
SPINS = "30000"


def tune_process() -> bool:
    """Keep up to 1 GiB of freed memory, and let waiting threads sleep; call it before torch is imported.

    The command line does this for its own processes. A spin count that the environment names is kept.

    Returns:
        Whether this C library can keep freed memory; only glibc's does.

    Source: mallopt(3); GOMP_SPINCOUNT in the manual of libgomp.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all((mallopt(M_MMAP_THRESHOLD, LARGEST_BLOCK), mallopt(M_TRIM_THRESHOLD, KEPT)))
