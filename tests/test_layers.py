"""The rooms of the package and their floors: imports point down only."""

import ast
import subprocess
import sys
from pathlib import Path

import rszoo

PACKAGE = Path(rszoo.__file__).parent
FLOORS = (
    {"errors", "files"},
    {"bounds", "architectures", "data", "recipe"},
    {"smoothing"},
    {"attacks", "logs"},
    {"zoo"},
    {"training", "plots", "evaluation"},
    {"publishing"},
    {"cli"},
)
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
FORBIDDEN = {("training", "zoo.registry"), ("training", "zoo.loading")}
WITHOUT_TORCH = (
    "errors",
    "files",
    "recipe",
    "bounds",
    "data.shapes",
    "logs",
    "zoo.registry",
    "zoo.config",
    "zoo.hub",
    "zoo.evidence",
    "zoo.history",
    "publishing.catalogue",
    "publishing.leaderboard",
    "smoothing.answers",
    "smoothing.certificate",
    "smoothing.probabilities",
    "smoothing.procedures",
    "smoothing.requests",
    "smoothing.runtime",
    "smoothing.soft",
    "cli",
)


def modules() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_room_has_a_floor() -> None:
    assert {room(path) for path in modules()} == set(FLOOR)
    assert len(FLOOR) <= 16
    assert len(FLOORS) <= 9


def test_imports_point_down() -> None:
    for path in modules():
        for name in imports(path):
            package, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if package == "rszoo" and other != room(path):
                assert other in FLOOR, f"{path} imports {name}"
                assert FLOOR[other] < FLOOR[room(path)], f"{path} imports {name}"
                for owner, module in FORBIDDEN:
                    assert owner != room(path) or not rest.startswith(module), (
                        f"{path} imports {name}"
                    )


def test_what_answers_at_once_imports_no_torch() -> None:
    names = [".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in modules()]
    chosen = [
        name.removesuffix(".__init__")
        for name in names
        if name.startswith(WITHOUT_TORCH) and "__main__" not in name
    ]
    program = f"import importlib, sys\n[importlib.import_module('rszoo.' + n) for n in {chosen}]\n"
    program += "print({'torch', 'torchvision', 'timm'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
