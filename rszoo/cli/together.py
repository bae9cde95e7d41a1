"""What the processes of `torchrun` agree on before one of them writes: all begin, or none does."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from rszoo.logs.format import AnyProtocol

STARTED = ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")
"""What an environment has in which several processes may have been started."""


@contextmanager
def beginning_together() -> Iterator["Callable[[AnyProtocol], None]"]:
    """Yield a function that each process calls with its protocol before it writes anything.

    It returns where all processes have the same protocol, data, weights and versions. Where they
    differ, or one had an error before, process 0 prints a sentence and all exit with code 2. A
    process alone is left alone.
    """
    from rszoo.cli import sentence
    from rszoo.evaluation import versions
    from rszoo.training.distributed import count, exit_unless_same, gather

    settled = count() == 1

    def settle(protocol: "AnyProtocol") -> None:
        nonlocal settled
        if settled:
            return
        settled = True
        whole = msgspec.structs.replace(protocol, shard=None, software=versions())
        exit_unless_same(gather(msgspec.to_builtins(whole)), "evaluate")

    try:
        yield settle
    except (ValueError, OSError) as error:
        if settled:
            raise
        exit_unless_same(gather(sentence(error)), "evaluate")


@contextmanager
def telling_others() -> Iterator[None]:
    """Let all processes of a training end with code 2 where one has an error before it starts.

    It costs a process alone nothing: torch is imported only where several were started.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        if not any(name in os.environ for name in STARTED):
            raise
        import torch

        from rszoo.cli import sentence
        from rszoo.training.distributed import count, exit_unless_same, gather, join

        join(torch.device("cpu"))
        if count() > 1:
            exit_unless_same(gather(sentence(error)), "train")
        raise
