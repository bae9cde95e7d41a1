"""Publishing to a stand-in for the Hub: one commit of the checked files, and a pin that loads."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.hub_repositories import Repository
from support.hub_server import IMPATIENT, READER, WRITER, Fault, Hub, environment, serve

import rszoo
from rszoo.zoo.config import sha256

FILES = {
    "config.json",
    "model.safetensors",
    "certify.tsv",
    "certify-grid.tsv",
    "recipe.toml",
    "README.md",
    "shades-resnet20-gaussian-s0.25.png",
}
COMMANDS = """
import contextlib, io, json, pathlib, sys
import rszoo.zoo.registry
arguments = json.loads(sys.argv[1])
rszoo.zoo.registry.PACKAGE = pathlib.Path(arguments["package"])
import rszoo.publishing.publish
rszoo.publishing.publish.recipe_names = lambda: [arguments["known"]]
rszoo.publishing.publish.load_recipe = lambda name: rszoo.recipe.load_recipe(
    arguments["recipe"] if name == arguments["known"] else name
)
from rszoo.cli import main
found = []
for command in arguments["commands"]:
    sys.argv = ["rszoo", *command]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            if command[0] == "python":
                exec(command[1], {})
            elif command[0] == "push_to_hub":
                print(rszoo.push_to_hub(*command[1:]))
            else:
                main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
    found.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A package with an empty zoo, beside a folder of recipes."""
    package = tmp_path / "checkout" / "rszoo"
    (package / "entries").mkdir(parents=True)
    (package / "entries" / "registry.json").write_text("{}")
    (package.parent / "training_recipes").mkdir()
    return package


def run(
    commands: list[list[str]], *, package: Path, recipe: Path, variables: dict[str, str]
) -> list[Ended]:
    """Run commands in a process of their own: the Hub's client reads its environment at import."""
    known = "shades-resnet20-gaussian-s0.25"
    given = {"commands": commands, "package": str(package), "recipe": str(recipe), "known": known}
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    command = [sys.executable, "-c", IMPATIENT + COMMANDS, json.dumps(given)]
    process = subprocess.run(
        command, capture_output=True, text=True, env=clean | variables, check=False, timeout=170
    )
    assert process.returncode == 0, process.stderr
    assert all(
        token not in process.stdout + process.stderr for token in (WRITER, READER, "hf_Nobody")
    )
    return [Ended(*each) for each in json.loads(process.stdout.splitlines()[-1])]


def publish(folder: Path, *options: str, repo: str = "org/shades") -> list[str]:
    return ["publish", str(folder), "--repo", repo, "--images", "1", *options]


def head(repository: Repository) -> dict[str, bytes]:
    return repository.commits[repository.branches["main"]]


@pytest.mark.slow
@pytest.mark.hub
def test_a_published_entry_is_pinned_and_loads_elsewhere_and_offline(
    evident: Path, checkout: Path, tmp_path: Path
) -> None:
    own = {"package": checkout, "recipe": evident / "recipe.toml"}
    files = {path.name: path.read_bytes() for path in evident.iterdir()}
    with serve({}) as (address, hub):
        writer = environment(address, tmp_path / "writer", token=WRITER)
        commands = [
            publish(evident, "--dry-run"),
            publish(evident),
            publish(evident),
            publish(evident, "--create-pr"),
        ]
        dry, first, second, proposal = run(commands, **own, variables=writer)
        repository = hub.repositories["org/shades"]
        assert_dry_run(dry, hub, files)
        assert (first.code, second.code, proposal.code) == (0, 0, 0), (first, second, proposal)
        assert {name: head(repository)[name] for name in files} == files
        assert head(repository).keys() == FILES | {".gitattributes"}
        card = head(repository)["README.md"]
        assert b'clf = rszoo.load("shades-resnet20-gaussian-s0.25")' in card
        assert b'`rszoo.load("hf-hub:org/shades")` loads the entry from it' in card
        assert (
            len(repository.messages) == 1
        )  # to publish the same again makes no commit, and no pull request
        commit = repository.branches["main"]
        pinned = json.loads((checkout / "entries" / "registry.json").read_text())[
            "shades-resnet20-gaussian-s0.25"
        ]
        assert pinned == {
            "config_sha256": sha256(evident / "config.json"),
            "repo_id": "org/shades",
            "revision": commit,
        }
        assert f"load it as 'hf-hub:org/shades@{commit}'" in first.out
        repository.commit({"config.json": b"{}"})  # somebody moves the main branch
        images = [str(path) for path in sorted((tmp_path / "shades" / "test").rglob("*.png"))[:2]]
        load = ["certify", "shades-resnet20-gaussian-s0.25", *images, "--n", "200", "--json"]
        reader = environment(address, tmp_path / "reader")
        loaded, verified = run(
            [load, ["verify", "shades-resnet20-gaussian-s0.25"]], **own, variables=reader
        )
    (offline,) = run([load], **own, variables=reader | {"HF_HUB_OFFLINE": "1"})
    expected = rszoo.load(str(evident))
    certificates = [json.loads(each.out) for each in (loaded, offline)]
    assert verified.code == 0, verified
    assert "config.json is the pinned one" in verified.out
    for each in certificates:
        assert [image["radius"] for image in each] == [image["radius"] for image in certificates[0]]
    assert expected.sigma == 0.25


def assert_dry_run(dry: Ended, hub: Hub, files: dict[str, bytes]) -> None:
    assert dry.code == 0, dry
    where = "one commit on the branch main of org/shades"
    assert f"Dry run: would bring these files to {where}, and pin it" in dry.out
    assert all(name in dry.out and str(len(files[name])) in dry.out for name in files)
    first_change = hub.requests.index(hub.changes[0])
    assert hub.changes[0] == "POST /api/repos/create"
    assert (
        hub.changes.count("POST /api/repos/create") == 2
    )  # of the two commands that are no dry run and no proposal
    assert not any("org/shades" in request for request in hub.requests[:first_change])


@pytest.mark.slow
@pytest.mark.hub
def test_pull_requests_branches_private_repositories_and_old_files(
    evident: Path, checkout: Path, tmp_path: Path
) -> None:
    own = {"package": checkout, "recipe": evident / "recipe.toml"}
    old = tmp_path / "old"
    old.mkdir()
    (old / "certify-float32.tsv").write_bytes(b"of other weights")
    (old / "NOTES.md").write_bytes(b"kept")
    with serve({"org/public": old}) as (address, hub):
        commands = [
            publish(evident, "--create-pr", repo="org/public"),
            publish(evident, "--private", repo="org/public"),
            publish(evident, "--revision", "next", repo="org/public"),
            publish(evident, "--private", repo="org/hidden"),
            ["push_to_hub", str(evident), "org/pushed"],
        ]
        proposed, public, branch, hidden, pushed = run(
            commands, **own, variables=environment(address, tmp_path / "cache", token=WRITER)
        )
        repository = hub.repositories["org/public"]
        assert proposed.code == 0
        assert f"{address}/org/public/discussions/1" in proposed.out
        assert head(repository) == {path.name: path.read_bytes() for path in old.iterdir()}
        assert (public.code, "got org/public, which is public" in public.err) == (2, True)
        assert branch.code == 0, branch
        assert repository.commits[repository.branches["next"]].keys() == FILES | {"NOTES.md"}
        assert "certify-float32.tsv" in head(repository)
        assert hidden.code == 0
        assert hub.repositories["org/hidden"].private
        assert (
            pushed.out.strip()
            == f"{address}/org/pushed/commit/{hub.repositories['org/pushed'].branches['main']}"
        )
    registry = json.loads((checkout / "entries" / "registry.json").read_text())
    assert registry["shades-resnet20-gaussian-s0.25"]["repo_id"] == "org/pushed"


@pytest.mark.slow
@pytest.mark.hub
def test_the_card_of_an_entry_outside_the_zoo_loads_it_from_its_own_repository(
    evident: Path, checkout: Path, tmp_path: Path
) -> None:
    (checkout.parent / "training_recipes").rmdir()  # an installed package: nothing is pinned
    own = {"package": checkout, "recipe": evident / "recipe.toml"}
    image = next((tmp_path / "shades" / "test").rglob("*.png"))
    with serve({}) as (address, hub):
        variables = environment(address, tmp_path / "cache", token=WRITER)
        commands = [publish(evident), publish(evident, "--revision", "next")]
        main, branch = run(commands, **own, variables=variables)
        assert (main.code, branch.code) == (0, 0), (main, branch)
        repository = hub.repositories["org/shades"]
        assert len(repository.commits) == 3
        for name, place in (("main", "org/shades"), ("next", "org/shades@next")):
            card = repository.commits[repository.branches[name]]["README.md"].decode()
            assert "    pip install rszoo\n" in card
            assert f'rszoo.load("hf-hub:{place}")' in card
            assert "ORGANISATION" not in card
            (code,) = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
            (line,) = re.findall(r"^    rszoo (certify .*)$", card, flags=re.MULTILINE)
            code, line = (text.replace("image.png", str(image)) for text in (code, line))
            ran, certified = run([["python", code], line.split()], **own, variables=variables)
            assert ran.code == certified.code == 0, (ran, certified)
            label = ran.out.split()[0]
            assert label in ("dark", "light")
            assert certified.out.splitlines()[-1].split()[1] == label


@pytest.mark.slow
@pytest.mark.hub
def test_what_cannot_be_published_ends_in_one_sentence(
    evident: Path, checkout: Path, tmp_path: Path
) -> None:
    own = {"package": checkout, "recipe": evident / "recipe.toml"}
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors", "recipe.toml"):
        (bare / name).write_bytes((evident / name).read_bytes())
    damaged = Path(shutil.copytree(bare, tmp_path / "damaged"))
    (damaged / "certify.tsv").write_text("idx\tlabel\n0\t3\n")
    with serve({"org/race": bare}) as (address, hub):
        hub.faults = [
            Fault("POST /api/models/org/race/commit", status=412),
            Fault("PUT /large", status=403),
            Fault("GET /org/changed/resolve", flip=True),
        ]
        commands = [
            publish(bare),
            publish(bare, repo="name"),
            publish(bare, "--without-evidence", repo="org/large"),
            publish(bare, "--without-evidence", repo="org/race"),
            publish(bare, "--without-evidence", repo="org/changed"),
            publish(damaged),
        ]
        found = run(commands, **own, variables=environment(address, tmp_path / "a", token=WRITER))
        evidence, nameless, large, race, changed, failed = found
        reader, nobody = (
            run(
                [publish(bare, "--without-evidence")],
                **own,
                variables=environment(address, tmp_path / "b", token=token),
            )[0]
            for token in (READER, "hf_Nobody")
        )
    assert "without certify.tsv; make it with 'rszoo evaluate" in evidence.err
    assert "Expected a repository as organisation/name, got 'name'" in nameless.err
    assert "got 412; somebody else changed the repository meanwhile" in race.err
    assert "IntegrityError" not in changed.err
    assert "Expected SHA-256" in changed.err
    assert "got 403; use a token that may write there" in large.err
    assert "which fails 1: certify.tsv: Expected" in failed.err
    assert "/certify.tsv" not in failed.err, "the name of a copy that only this process knew"
    assert "got 403; use a token that may write there" in reader.err
    assert "got 401; log in with 'hf auth login', or set HF_TOKEN" in nobody.err
    for each in (*found, reader, nobody):
        assert each.code == 2
        assert len(each.err.strip().splitlines()) == 1
    assert json.loads((checkout / "entries" / "registry.json").read_text()) == {}


def test_a_damaged_entry_and_another_than_the_bundled_one_are_refused(
    evident: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, where nothing reaches a Hub."""
    import rszoo.publishing.publish as module
    from rszoo.publishing.verify import Repetition
    from rszoo.recipe import load_recipe
    from rszoo.zoo import registry

    recipe = load_recipe(str(evident / "recipe.toml"))
    monkeypatch.setattr(registry, "PACKAGE", checkout)
    monkeypatch.setattr(module, "recipe_names", lambda: [recipe.name])
    monkeypatch.setattr(module, "load_recipe", lambda name: recipe)
    made = module.publish(str(evident), "org/a", dry_run=True, repetition=Repetition(0))
    assert {file.name for file in made.files} == FILES
    assert made.pins
    bundled = registry.bundled_folder(recipe.name)
    bundled.mkdir(parents=True)
    (bundled / "config.json").write_text("{}")
    with pytest.raises(
        ValueError, match=r"got other weights of shades.*; 'rszoo bundle' them first"
    ):
        module.publish(str(evident), "org/a", dry_run=True, repetition=Repetition(0))
    (evident / "certify.tsv").write_text("no log\n")
    with pytest.raises(
        ValueError,
        match=r"which fails 1: certify.tsv: Expected the columns .* 'rszoo verify .*' lists all",
    ):
        module.publish(str(evident), "org/a", dry_run=True, repetition=Repetition(0))
