"""What the processes of `torchrun` agree on before one of them writes: all begin, or none does."""

import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from rszoo.logs.format import AnyProtocol


@contextmanager
def beginning_together() -> Iterator["Callable[[AnyProtocol], None]"]:
    """Yield a function that each process calls with its protocol before it writes anything.

    It returns where all processes have the same protocol, data, weights and versions. Where they
    differ, or one had an error before, process 0 prints a sentence and all exit with code 2. A
    process alone is left alone.
    """
    from rszoo.cli import sentence
    from rszoo.evaluation import versions
    from rszoo.training.distributed import count, gather

    settled = count() == 1

    def settle(protocol: "AnyProtocol") -> None:
        nonlocal settled
        if settled:
            return
        settled = True
        whole = msgspec.structs.replace(protocol, shard=None, software=versions())
        _exit_unless_same(gather(msgspec.to_builtins(whole)))

    try:
        yield settle
    except (ValueError, OSError) as error:
        if settled:
            raise
        _exit_unless_same(gather(sentence(error)))


def _exit_unless_same(states: Sequence[Mapping[str, Any] | str]) -> None:
    """Exit with code 2 if a process has an error, which is a string, or another protocol than 0."""
    from rszoo.training.distributed import gather, rank

    faults = [state for state in states if isinstance(state, str)]
    faults += [] if faults else list(_differences(states))
    if not faults:
        return
    if rank() == 0:
        print(f"rszoo: {faults[0]}", file=sys.stderr, flush=True)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which torchrun sends once one has left
    gather(None)
    sys.exit(2)


def _differences(states: Sequence[Any]) -> Iterator[str]:
    for number, state in enumerate(states):
        keys = [key for key in states[0] | state if states[0].get(key) != state.get(key)]
        if keys:
            got = ", ".join(f"{key}: {states[0].get(key)} and {state.get(key)}" for key in keys)
            yield (
                f"Expected all processes to evaluate the same, got {got} in processes 0 and "
                f"{number}; give them the same files and versions."
            )
