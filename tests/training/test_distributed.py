"""Several processes share each batch of a training."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from support.processes import APART, TORCHRUN, torchrun
from support.training_runs import CPU, recipe_text
from torch import nn

from rszoo.architectures import build
from rszoo.recipe import load_recipe, parse_recipe
from rszoo.training import distributed, start
from rszoo.training.methods import Share
from rszoo.training.run import synchronize_statistics
from rszoo.training.starters import Started, array_task, environment
from rszoo.zoo.config import read_config
from rszoo.zoo.history import read_history

STEPS = """
import sys
from pathlib import Path
import torch
from torch import nn
from rszoo.architectures import ARCHITECTURES
from rszoo.recipe import parse_recipe
from rszoo.training import start
from rszoo.training.distributed import count, join, rank
from rszoo.training.methods import METHODS, Share
from rszoo.training.step import take_step
torch.set_num_threads(1)
def plain(classes, channels):
    conv = nn.Conv2d(channels, 8, 3, 2)
    return nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.Linear(1800, classes))
ARCHITECTURES["plain"] = plain
join(torch.device("cpu"))
found = {}
for path in sorted(Path(sys.argv[1]).glob("*.toml")):
    recipe = parse_recipe(path.read_text(), path.name)
    run = start(recipe, torch.device("cpu"), random_start=True, share=Share(rank(), count()))
    for weight in run.teacher.network.parameters() if run.teacher else ():
        weight.mul_(2)  # else it is the network, whose loss begins with the rounding of 0
    losses = [float(take_step(run)) for _ in range(3)]
    found[path.stem] = (losses, run.network.state_dict())
if rank() == 0:
    torch.save(found, sys.argv[2])
"""
TABLES = {
    "gaussian": "",
    "stability": "lam = 2.0",
    "smoothed": "m = 2",
    "adversarial": "eps = 0.25\nsteps = 2\nnoisy = true\nwarmup = 0",
    "smoothadv": 'attack = "pgd"\neps = 0.25\nsteps = 2\nm = 2\nm_train = 2\nwarmup = 0',
    "adre": 'k = 2\nlam = 0.1\ndraws = "single"',
    "adreadv": 'k = 2\nlam = 0.1\ndraws = "all"\neps = 0.25\nsteps = 2\nwarmup = 0',
    "macer": "m = 2\nlam = 12.0\ngamma = 8.0\nbeta = 16.0\ndeferred = 0",
    "consistency": "m = 2\nlam = 10.0\neta = 0.5",
    "smoothmix": "m = 2\nsteps = 2\nalpha = 0.5\neta = 5.0\nmix_step = 0\nwarmup = 0",
    "catrs": 'm = 2\nlam = 1.0\neps = 1.0\nsteps = 2\nconfidence = "votes"',
    "reweighted": "m = 2\neps = 0.25\nsteps = 2\nstart = 0\nthreshold = 0.5\nevery = 10\n"
    "votes = 16\nfirst_votes = 100",
    "distilled": "m = 1",
}
TAUGHT = {"catrs": 'teacher = "any"\nteacher_votes = 1', "distilled": 'teacher = "any"'}


def children(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(number) for number in text.split()]


@pytest.mark.slow
def test_processes_take_the_steps_of_one(blobs: Path, tmp_path: Path) -> None:
    """Without batch statistics all methods have the same losses and weights, up to rounding."""
    (tmp_path / "recipes").mkdir()
    for name, table in TABLES.items():
        text = recipe_text(
            TAUGHT.get(name, ""),
            **{
                'name = "gaussian"\n': f'name = "{name}"\n{table}\n',
                'architecture = "resnet20"': 'architecture = "plain"',
            },
        )
        (tmp_path / "recipes" / f"{name}.toml").write_text(text)
    (tmp_path / "steps.py").write_text(STEPS)
    found: dict[int, dict[str, Any]] = {}
    for processes in (1, 2, 4):
        out = tmp_path / str(processes)
        program = [str(tmp_path / "steps.py"), str(tmp_path / "recipes"), str(out)]
        done = torchrun(processes, *program)
        assert done.returncode == 0, done.stderr
        found[processes] = torch.load(out, weights_only=True)
    assert found[1].keys() == TABLES.keys()
    for processes in (2, 4):
        for name, (losses, weights) in found[1].items():
            others, state = found[processes][name]
            assert others == pytest.approx(losses, rel=1e-4), name
            for key, value in weights.items():
                torch.testing.assert_close(state[key], value, rtol=1e-3, atol=1e-5)
    assert len({tuple(losses) for losses, _ in found[1].values()}) > len(TABLES) - 3


EAGER = """
import rszoo.training.loop
import rszoo.cli
rszoo.training.loop.CHECKPOINT_SECONDS = 0.0
rszoo.cli.main()
"""


def lines(path: Path) -> int:
    return path.read_text().count("\n") if path.exists() else 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to find the processes")
def test_a_shared_run_is_killed_and_goes_on_with_another_number_of_processes(
    blobs: Path, tmp_path: Path
) -> None:
    """One process is killed after 3 epochs and one after 6; the others do not go on alone."""
    (tmp_path / "recipe.toml").write_text(recipe_text(**{"epochs = 3": "epochs = 20"}))
    (tmp_path / "eager.py").write_text(EAGER)
    command = ["--", str(tmp_path / "eager.py"), "train", str(tmp_path / "recipe.toml")]
    command += ["--out", str(tmp_path / "run")]
    for processes, epochs in ((2, 3), (4, 6)):
        agent = subprocess.Popen(
            [*TORCHRUN, f"--nproc-per-node={processes}", *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        while lines(tmp_path / "run" / "log.jsonl") < epochs:
            assert agent.poll() is None
            time.sleep(0.05)
        os.kill(children(agent.pid)[-1], signal.SIGKILL)
        assert agent.wait(timeout=60)  # it ends the others
    done = torchrun(1, *command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Complete") == 1
    starts = [json.loads(line) for line in (tmp_path / "run" / "runs.jsonl").open()]
    assert [start["processes"] for start in starts] == [2, 4, 1]
    first, second, third = (start["resumed_at_step"] for start in starts)
    assert first == 0 < second < third < 80
    recipe = load_recipe(str(tmp_path / "recipe.toml"))
    history = read_history(tmp_path / "run", read_config(tmp_path / "run"), recipe)
    assert history is not None
    assert history.noisy_test_accuracy is not None
    assert history.noisy_test_accuracy > 0.9
    assert "(processes: 2, threads: 1, batch statistics of each process's share, torch" in str(
        history.machines
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("difference", "words"),
    [
        ("os.environ['RSZOO_DATA'] += '/other'", "got data_sha256: "),
        ("sys.argv[2] = sys.argv[2].replace('recipe', 'another')", "got fingerprint: "),
        ("os.environ['RSZOO_DATA'] = '/nowhere'", "Unknown data set 'blobs'"),
        ("sys.argv[2] = '/nowhere.toml'", "Expected a recipe's name or a .toml file"),
    ],
    ids=["data", "recipe", "no data", "no recipe"],
)
def test_processes_that_differ_take_no_step(
    blobs: Path, tmp_path: Path, difference: str, words: str
) -> None:
    shutil.copytree(blobs / "blobs", blobs / "other" / "blobs")
    shutil.copy(blobs / "blobs.toml", blobs / "other")
    image = blobs / "other" / "blobs" / "train" / "dark" / "00.png"
    Image.new("RGB", (32, 32)).save(image)
    (tmp_path / "recipe.toml").write_text(recipe_text())
    (tmp_path / "another.toml").write_text(recipe_text(**{"rate = 0.1": "rate = 0.2"}))
    (tmp_path / "codes").mkdir()
    program = tmp_path / "program.py"
    program.write_text(APART.format(difference=difference, codes=tmp_path / "codes"))
    command = ["train", str(tmp_path / "recipe.toml"), "--out", str(tmp_path / "run")]
    done = torchrun(2, "--", str(program), *command)
    sentences = [line for line in done.stderr.splitlines() if line.startswith("rszoo: ")]
    assert [words in line for line in sentences] == [True], done.stderr
    assert [path.read_text() for path in sorted((tmp_path / "codes").iterdir())] == ["2", "2"]
    assert not list((tmp_path / "run").glob("*.pt"))


def test_a_batch_that_the_processes_do_not_divide_is_refused(blobs: Path) -> None:
    with pytest.raises(ValueError, match=r"^Expected processes that divide batch_size = 16, got 3"):
        start(parse_recipe(recipe_text(), "test"), CPU, share=Share(0, 3))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, None),  # a script's own task, without srun
        ({"SLURM_STEP_NUM_TASKS": "1"}, None),
        (
            {"WORLD_SIZE": "4", "RANK": "3", "MASTER_ADDR": "a", "MASTER_PORT": "1"},
            Started(3, 4, 3, None),
        ),
        (
            {
                "SLURM_STEP_NUM_TASKS": "8",
                "SLURM_PROCID": "5",
                "SLURM_LOCALID": "1",
                "SLURM_STEP_NODELIST": "node[03-05,9],other",
                "SLURM_JOB_ID": "12",
                "SLURM_STEP_ID": "3",
            },
            Started(5, 8, 1, "node03:11203"),
        ),
        (
            {
                "OMPI_COMM_WORLD_SIZE": "2",
                "OMPI_COMM_WORLD_RANK": "1",
                "OMPI_COMM_WORLD_LOCAL_RANK": "1",
                "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
            },
            Started(1, 2, 1, "127.0.0.1:29500"),
        ),
    ],
)
def test_starters_are_understood(variables: dict[str, str], expected: Started | None) -> None:
    assert environment(variables) == expected


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"WORLD_SIZE": "2"}, "got no RANK; start the processes with torchrun"),
        ({"SLURM_STEP_NUM_TASKS": "x"}, "Expected a number in SLURM_STEP_NUM_TASKS, got 'x'"),
        (
            {
                "OMPI_COMM_WORLD_SIZE": "4",
                "OMPI_COMM_WORLD_RANK": "1",
                "OMPI_COMM_WORLD_LOCAL_RANK": "1",
                "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
            },
            "Expected MASTER_ADDR beside processes on several machines",
        ),
    ],
)
def test_incomplete_starters_are_named(variables: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        environment(variables)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "7"},
            (4, 8),
        ),
        (
            {
                "SLURM_ARRAY_TASK_ID": "5",
                "SLURM_ARRAY_TASK_MIN": "1",
                "SLURM_ARRAY_TASK_MAX": "7",
                "SLURM_ARRAY_TASK_STEP": "2",
            },
            (3, 4),
        ),
        ({"SGE_TASK_ID": "2", "SGE_TASK_FIRST": "1", "SGE_TASK_LAST": "4"}, (2, 4)),
    ],
)
def test_tasks_of_arrays_are_shards(
    variables: dict[str, str], expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rszoo.cli.running import _pair

    assert array_task(variables) == expected
    with pytest.raises(ValueError, match="got no number of a task"):
        array_task({"SGE_TASK_ID": "undefined"})
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert _pair("array") == expected


def test_a_process_that_nobody_joins_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_PORT", "29611")
    monkeypatch.setattr(distributed, "MEETING", timedelta(seconds=2))
    with pytest.raises(ConnectionError, match=r"^Expected 2 processes, got no answer"):
        distributed.join(CPU)


def test_batch_norm_of_whole_batches_is_the_same_network() -> None:
    """As far as it can be seen without a GPU: in evaluation mode, and what is refused."""
    network = build("resnet20", num_classes=2, mean=[0.5] * 3, std=[0.5] * 3)
    x = torch.rand(4, 3, 32, 32)
    network(x)  # statistics other than the first
    before, keys = network.eval()(x), network.state_dict().keys()
    synchronize_statistics(network)
    found = [module for module in network.modules() if isinstance(module, nn.SyncBatchNorm)]
    assert len(found) == 21
    assert torch.equal(network(x), before)
    assert network.state_dict().keys() == keys
    other = build("timm/mobilenetv3_small_050", num_classes=2, mean=[0.5] * 3, std=[0.5] * 3)
    with pytest.raises(ValueError, match=r"^Expected batch norm of torch itself .* BatchNormAct2d"):
        synchronize_statistics(other)


SLOW_SUM = """
import datetime, time
import torch
from rszoo.training import distributed
distributed.MEETING = datetime.timedelta(seconds=4)
distributed.join(torch.device("cpu"))
one = torch.ones(3)
if distributed.rank():
    time.sleep(7)
distributed.add_up([one])
distributed.wait()
assert one.tolist() == [2.0] * 3
"""


@pytest.mark.slow
def test_a_process_that_is_busy_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "sum.py").write_text(SLOW_SUM)
    done = torchrun(2, str(tmp_path / "sum.py"))
    assert done.returncode == 0, done.stderr
