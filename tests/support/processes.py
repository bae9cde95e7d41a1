"""Programs that torchrun starts in several processes."""

import os
import subprocess
import sys

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]

APART = """
import os, sys
if os.environ["RANK"] == "1":
    {difference}
import rszoo.cli
try:
    rszoo.cli.main()
finally:
    with open(f"{codes}/{{os.environ['RANK']}}", "w") as file:
        file.write(str(sys.exc_info()[1]))
"""
"""The command line, where process 1 differs; each writes its exit code into the folder `codes`."""


def torchrun(processes: int, *program: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*TORCHRUN, f"--nproc-per-node={processes}", *program],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
