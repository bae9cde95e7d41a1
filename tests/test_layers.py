"""Imports point down only."""

import ast
from pathlib import Path

import rszoo

PACKAGE = Path(rszoo.__file__).parent
LAYERS = (
    {"faults", "files"},
    {"bounds", "certificate", "recipe", "records", "registry", "runtime", "config", "hub"},
    {"architectures", "arithmetic", "augmentation", "images", "processes", "sampling"},
    {"folders"},
    {"datasets"},
    {"attacks", "inference", "entry", "analysis"},
    {"checkpoints", "leaderboard", "methods", "voting"},
    {"procedures"},
    {"smoothing"},
    {"zoo", "training", "own"},
    {"evaluation"},
    {"verification"},
    {"plots"},
    {"cards"},
    {"publish"},
    {"cli"},
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FORBIDDEN = {("training", "registry"), ("zoo", "training")}


def modules() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "rszoo" else {node.module}
    return found


def owner(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_module_has_a_layer() -> None:
    assert {owner(path) for path in modules()} == set(LEVEL)


def test_imports_point_down() -> None:
    for path in modules():
        for name in imports(path):
            parts = name.split(".")
            if parts[0] != "rszoo" or len(parts) == 1 or parts[1] not in LEVEL or parts[1] == owner(path):
                continue
            assert LEVEL[parts[1]] < LEVEL[owner(path)], f"{path} imports {name}"
            assert (owner(path), parts[1]) not in FORBIDDEN, f"{path} imports {name}"


def test_the_lowest_layers_import_no_torch() -> None:
    for path in modules():
        if LEVEL[owner(path)] <= 1:
            assert not any(name.split(".")[0] in ("torch", "torchvision", "timm") for name in imports(path)), path


def test_no_file_is_too_long_and_none_is_a_drawer() -> None:
    for path in modules():
        assert len(path.read_text().splitlines()) <= 300, path
        assert path.stem not in ("utils", "common", "helpers"), path
