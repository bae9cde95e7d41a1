"""What `torchrun`, SLURM, MPI and Grid Engine say to the processes that they start."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

PORTS = 20_000  # above 10,000: which one follows from the number of the job


@dataclass(frozen=True)
class Started:
    """One process of several.

    Attributes:
        rank, count: its number, and how many there are.
        local_rank: its number among those of its machine.
        address: HOST:PORT of process 0; None where the environment has it in torch's own words.
    """

    rank: int
    count: int
    local_rank: int
    address: str | None


def environment(variables: Mapping[str, str]) -> Started | None:
    """What the environment says; None of a process that was started alone.

    Torch's own variables come first, as `torchrun` sets them, then those of a step of SLURM and of
    Open MPI.

    Raises:
        ValueError: variables are missing, or are no numbers.
    """
    if "WORLD_SIZE" in variables and (_several(variables, "WORLD_SIZE") or "RANK" in variables):
        needed = ("RANK", "MASTER_ADDR", "MASTER_PORT")
        if missing := [name for name in needed if name not in variables]:
            raise ValueError(
                f"Expected {', '.join(needed)} beside WORLD_SIZE, got no {missing[0]}; start the "
                "processes with torchrun, srun or mpirun, or unset WORLD_SIZE."
            )
        rank = _number(variables, "RANK")
        local = _number(variables, "LOCAL_RANK") if "LOCAL_RANK" in variables else rank
        return Started(rank, _number(variables, "WORLD_SIZE"), local, None)
    if _several(variables, "SLURM_STEP_NUM_TASKS"):
        return Started(
            _number(variables, "SLURM_PROCID"),
            _number(variables, "SLURM_STEP_NUM_TASKS"),
            _number(variables, "SLURM_LOCALID"),
            _slurm_address(variables),
        )
    if _several(variables, "OMPI_COMM_WORLD_SIZE"):
        return Started(
            _number(variables, "OMPI_COMM_WORLD_RANK"),
            _number(variables, "OMPI_COMM_WORLD_SIZE"),
            _number(variables, "OMPI_COMM_WORLD_LOCAL_RANK"),
            _mpi_address(variables),
        )
    return None


ARRAYS = (
    (
        "SLURM_ARRAY_TASK_ID",
        "SLURM_ARRAY_TASK_MIN",
        "SLURM_ARRAY_TASK_MAX",
        "SLURM_ARRAY_TASK_STEP",
    ),
    ("SGE_TASK_ID", "SGE_TASK_FIRST", "SGE_TASK_LAST", "SGE_TASK_STEPSIZE"),
)


def array_task(variables: Mapping[str, str]) -> tuple[int, int]:
    """Which of how many tasks of a job array this is, counted from 1.

    Raises:
        ValueError: it is not one, or variables are no numbers.
    """
    for names in ARRAYS:
        if variables.get(names[0], "").isdecimal():
            task, first, last = (_number(variables, name) for name in names[:3])
            step = _number(variables, names[3]) if names[3] in variables else 1
            return (task - first) // step + 1, (last - first) // step + 1
    raise ValueError(
        "Expected --shard array in a task of a job array of SLURM or Grid Engine, got no number of "
        "a task; write --shard 1/4."
    )


def _several(variables: Mapping[str, str], name: str) -> bool:
    return name in variables and _number(variables, name) > 1


def _number(variables: Mapping[str, str], name: str) -> int:
    text = variables.get(name, "")
    if not text.isdecimal():
        raise ValueError(
            f"Expected a number in {name}, got {text!r}; start the processes with torchrun."
        )
    return int(text)


def _slurm_address(variables: Mapping[str, str]) -> str:
    """The first machine of the step, at a port that follows from the job's number."""
    host = variables.get("MASTER_ADDR") or _first_host(variables.get("SLURM_STEP_NODELIST", ""))
    job, step = variables.get("SLURM_JOB_ID", "0"), variables.get("SLURM_STEP_ID", "0")
    port = 10_000 + (100 * int(job) + int(step)) % PORTS
    return f"{host}:{variables.get('MASTER_PORT', port)}"


def _first_host(machines: str) -> str:
    """The first of a list such as node[03-05,9],other."""
    found = re.match(r"([^,\[]+)(?:\[(\w+)[^\]]*\])?([^,]*)", machines)
    if not found:
        raise ValueError(
            f"Expected machines in SLURM_STEP_NODELIST, got {machines!r}; set MASTER_ADDR to the "
            "machine of process 0."
        )
    return "".join(part or "" for part in found.groups())


def _mpi_address(variables: Mapping[str, str]) -> str:
    host, port = variables.get("MASTER_ADDR"), variables.get("MASTER_PORT", "29500")
    together = variables.get("OMPI_COMM_WORLD_LOCAL_SIZE") == variables["OMPI_COMM_WORLD_SIZE"]
    if host is None and not together:
        raise ValueError(
            "Expected MASTER_ADDR beside processes on several machines, got none; pass "
            "-x MASTER_ADDR=HOST to mpirun, with the machine of process 0."
        )
    return f"{host or '127.0.0.1'}:{port}"
