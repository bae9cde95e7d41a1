"""Downloads by the real client from a failing Hub: the right classifier, or one sentence."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from support.hub_server import COMMIT, IMPATIENT, Fault, environment, serve

import rszoo
from rszoo.errors import HubError
from rszoo.zoo.config import sha256
from rszoo.zoo.hub import fetch

HALF_GREY = "torch.full((3, 32, 32), .5)"
LOADS = f"""
import sys, torch, rszoo
for name in sys.argv[1:]:
    try:
        load = rszoo.from_pretrained if name.startswith("org/") else rszoo.load
        print("counts", load(name).certify({HALF_GREY}, n=100).counts)
    except (ValueError, OSError) as error:
        print(type(error).__name__, error)
"""
LATER = "check the name, the revision and HF_TOKEN, or try again later."
FETCHES = """
import sys
from rszoo.errors import HubError
from rszoo.zoo.hub import fetch
for name in sys.argv[1:]:
    repo_id, _, revision = name.partition("@")
    try:
        print("fetched", fetch(repo_id, revision or None).name)
    except HubError as error:
        print(type(error).__name__, error)
"""


def start(program: str, *names: str, variables: dict[str, str]) -> "subprocess.Popen[str]":
    """Start a process of its own: the Hub's client reads its environment when it is imported."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    command = [sys.executable, "-c", IMPATIENT + program, *names]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean | variables
    )


def lines(process: "subprocess.Popen[str]") -> list[str]:
    """What it prints, one line a name."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.splitlines()


def expected(entry: Path) -> str:
    import torch

    return f"counts {rszoo.load(str(entry)).certify(torch.full((3, 32, 32), 0.5), n=100).counts}"


@pytest.mark.slow
@pytest.mark.hub
def test_each_fault_ends_in_a_right_classifier_or_one_sentence(entry: Path, tmp_path: Path) -> None:
    right = expected(entry)
    weights = "GET /org/{}/resolve/" + COMMIT + "/model.safetensors"
    repositories = ("cut", "flip", "flipped", "error", "once", "private", "moving", "moved")
    with serve({f"org/{name}": entry for name in repositories}) as (address, hub):
        moving, moved = hub.repositories["org/moving"], hub.repositories["org/moved"]
        hub.faults = [
            Fault(weights.format("cut"), cut=True),
            Fault(weights.format("flip"), flip=True),
            Fault(weights.format("flipped"), flip=True, times=9),
            Fault("HEAD /org/error", status=500, times=99),
            Fault(weights.format("once"), status=503),
            Fault(
                "HEAD /org/moving/resolve/main/config.json",
                then=lambda: moving.commit({"config.json": b"{}"}),
            ),
            Fault(
                "GET /org/moved/resolve/main/config.json",
                then=lambda: moved.commit({"config.json": b"{}"}),
            ),
        ]
        hub.repositories["org/private"].private = True
        names = [*(f"org/{name}" for name in repositories), "hf-hub:org/once", "hf-hub:org/nobody"]
        found = lines(start(LOADS, *names, variables=environment(address, tmp_path / "cache")))
        requests = list(hub.requests)
    by_name = dict(zip((*repositories, "once again", "nobody"), found, strict=True))
    assert by_name["cut"] == by_name["flip"] == by_name["once again"] == by_name["moved"] == right
    assert sum(request == weights.format("cut") for request in requests) == 2
    assert by_name["moving"].startswith(
        "HubError Expected org/moving from the Hub, got OSError: Consistency check failed"
    )
    assert "IntegrityError Expected SHA-256" in by_name["flipped"]
    assert sum(request == weights.format("flipped") for request in requests) == 2
    assert by_name["error"] == "HubError Expected org/error from the Hub, got 500; " + LATER
    assert by_name["once"] in (right, "HubError Expected org/once from the Hub, got 503; " + LATER)
    for name in ("private", "nobody"):
        assert by_name[name].startswith(
            f"HubError Expected org/{name} from the Hub, got 404; check the name"
        )
    assert not list((tmp_path / "cache").rglob("*.incomplete"))


@pytest.mark.slow
@pytest.mark.hub
def test_slow_servers_cut_connections_wrong_addresses_and_strange_tokens(
    entry: Path, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    large.mkdir()
    (large / "config.json").write_text("{}")
    (large / "model.safetensors").write_bytes(random.Random(0).randbytes(24_000_000))
    with serve({"org/slow": entry, "org/entry": entry, "org/large": large}) as (address, hub):
        hub.faults = [
            Fault("HEAD /org/slow", seconds=1.5, times=9),
            Fault(f"GET /org/large/resolve/{COMMIT}/model.safetensors", cut=True),
        ]
        variables = environment(address, tmp_path / "a", HF_HUB_ETAG_TIMEOUT="1")
        slow = start(FETCHES, "org/slow", "org/large", f"org/entry@{'0' * 40}", variables=variables)
        nonsense = start(FETCHES, "org/entry", variables=environment("nonsense", tmp_path / "b"))
        token = start(
            FETCHES,
            "org/entry",
            variables=environment(address, tmp_path / "c", token="hf_se\x01cret"),
        )
        gone = f"HubError Expected org/entry@{'0' * 40} from the Hub, got 404; check the name and"
        found = lines(slow)
        assert (
            found[:2] == [f"fetched {COMMIT}"] * 2
        )  # the client asks a slow server again, with more patience
        assert found[2].startswith(gone)
        fetched = (
            tmp_path
            / "a"
            / "hub"
            / "models--org--large"
            / "snapshots"
            / COMMIT
            / "model.safetensors"
        )
        assert sha256(fetched) == sha256(large / "model.safetensors")
        assert any("org/large" in request and "range=bytes=" in request for request in hub.requests)
        assert lines(nonsense)[0].startswith("HubError Expected org/entry from the Hub, got ")
        (refused,) = lines(token)
        assert refused.startswith("HubError Expected a token of plain characters")
        assert "cret" not in refused


def test_an_error_of_the_client_without_an_answer_of_the_hub_ends_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Unanswered(HfHubHTTPError, LocalEntryNotFoundError):  # as the client before 1.0 has it
        def __init__(self) -> None:
            self.response = None  # type: ignore[assignment]

    monkeypatch.setattr("huggingface_hub.hf_hub_download", Mock(side_effect=Unanswered()))
    with pytest.raises(
        HubError, match="got no connection and no cached copy; check the network, HF_ENDPOINT"
    ):
        fetch("org/entry", None)


@pytest.mark.slow
@pytest.mark.hub
def test_other_weights_than_the_pinned_ones_are_never_loaded(entry: Path, tmp_path: Path) -> None:
    """A registry that pins a commit, on a Hub where that commit holds another entry."""
    package = tmp_path / "package"
    (package / "entries").mkdir(parents=True)
    pinned = {"config_sha256": "0" * 64, "repo_id": "org/entry", "revision": COMMIT}
    good = pinned | {"config_sha256": sha256(entry / "config.json")}
    (package / "entries" / "registry.json").write_text(json.dumps({"other": pinned, "good": good}))
    program = (
        "import pathlib, rszoo.zoo.registry\n"
        f"rszoo.zoo.registry.PACKAGE = pathlib.Path({str(package)!r})\n{LOADS}"
    )
    with serve({"org/entry": entry}) as (address, _):
        processes = [
            start(program, "good", "other", variables=environment(address, tmp_path / "cache"))
            for _ in range(2)
        ]
        for found in map(lines, processes):  # two processes at once, with an empty cache
            assert found[0] == expected(entry)
            assert found[1].startswith(f"IntegrityError Expected SHA-256 {'0' * 64}")
    offline = environment(address, tmp_path / "cache", HF_HUB_OFFLINE="1")
    found = lines(start(program, "good", "other", variables=offline))
    assert found[0] == expected(entry)
    assert found[1].startswith(f"IntegrityError Expected SHA-256 {'0' * 64}")
