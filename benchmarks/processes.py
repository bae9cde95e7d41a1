"""How a training step scales when several processes of this machine share its batch.

    python benchmarks/processes.py [--processes 1 2] [--architecture resnet20] [--batch 256]
        [--steps 6] [--method gaussian]

Each number of processes is started by torchrun, with the cores divided among them. The share of the
all-reduce is its time, measured by itself on the same tensors, over that of a step.

What 8 and 64 processes would give is computed from figures of this run: the step of a process that
has that share of the batch, measured alone on one core, and the all-reduce of the largest number of
processes measured, with the 2 (P - 1) / P transfers of a ring. It assumes machines like this core
and a network like this machine's memory.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import torch
import train as steps_of_methods

from rszoo.training import run
from rszoo.training.distributed import add_up, count, join, rank
from rszoo.training.methods import METHODS, Share
from rszoo.training.step import take_step

CPU = torch.device("cpu")
ROUNDS = 3
FORETOLD = (8, 64)


def seconds_per_step(options: argparse.Namespace, share: Share) -> float:
    prepared = steps_of_methods.prepare(
        options.method, options.architecture, options.batch, CPU, share
    )
    take_step(prepared)
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(options.steps):
            take_step(prepared)
        found.append((time.perf_counter() - began) / options.steps)
    return statistics.median(found)


def seconds_of_sum(options: argparse.Namespace) -> float:
    """Of adding up all gradients and running statistics once."""
    network = steps_of_methods.prepare(options.method, options.architecture, options.batch, CPU)
    values = [each.detach() for each in network.network.state_dict().values() if each.ndim]
    add_up(values)
    began = time.perf_counter()
    for _ in range(options.steps):
        add_up(values)
    return (time.perf_counter() - began) / options.steps


def measured(options: argparse.Namespace, processes: int) -> dict[str, float]:
    """Seconds of a step and of its all-reduce with so many processes."""
    threads = max(1, (os.cpu_count() or 1) // processes)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={processes}", __file__, "--worker", *sys.argv[1:]]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--architecture", default="resnet20")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=6, help="steps of a run")
    parser.add_argument("--method", default="gaussian", choices=METHODS)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    run.load_data = steps_of_methods.made_up
    if options.worker:
        join(CPU)
        step = seconds_per_step(options, Share(rank(), count()))
        found = {"step": step, "sum": seconds_of_sum(options) if count() > 1 else 0.0}
        if rank() == 0:
            print(json.dumps(found))
        return
    print(f"{options.architecture}, {options.method}, batch {options.batch}, medians of {ROUNDS}")
    print(f"{'processes':>9} {'images/s':>9} {'scaling':>8} {'all-reduce':>11}")
    results = {processes: measured(options, processes) for processes in options.processes}
    first = results[options.processes[0]]["step"]
    for processes, found in results.items():
        step = found["step"]
        print(
            f"{processes:>9} {options.batch / step:>9.0f} {first / step:>8.2f} "
            f"{100 * found['sum'] / step:>9.1f} %"
        )
    most = max(options.processes)
    if most == 1:
        return
    transfers = results[most]["sum"] / (2 * (most - 1) / most)
    torch.set_num_threads(1)
    for processes in FORETOLD:
        if options.batch % processes:
            continue
        alone = seconds_per_step(options, Share(0, processes))
        together = transfers * 2 * (processes - 1) / processes
        step = alone + together
        print(
            f"{processes:>9} {options.batch / step:>9.0f} {first / step:>8.2f} "
            f"{100 * together / step:>9.1f} % (computed)"
        )


if __name__ == "__main__":
    main()
