import resource
import subprocess
import sys

import pytest

CODE = """
import resource, sys
from rszoo.smoothing.runtime import tune_process
if sys.argv[1] == "keep" and not tune_process():
    sys.exit(3)
import torch
torch.set_num_threads(1)
def passes(count):
    for _ in range(count):
        x = torch.ones(2**20)
        for _ in range(8):
            x = x + 1
passes(5)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
passes(20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(what: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", CODE, what], capture_output=True, text=True, check=False
    )
    if done.returncode == 3:
        pytest.skip("the C library is not glibc")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.slow
def test_freed_memory_is_taken_again_without_the_system() -> None:
    """4 MiB a tensor: where it is given back, each pass takes pages from the system again."""
    assert faults("keep") * resource.getpagesize() < 2**22
