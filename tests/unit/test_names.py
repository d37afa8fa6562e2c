"""A test's name stands once in the frame's tests, and once in those of each service."""

import ast
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).parents[1]


def names_in(path: Path) -> list[str]:
    """The names of the tests in a module."""
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [function.name for function in functions if function.name.startswith("test_")]


def owner_of(path: Path) -> str:
    """The frame or a service: services do not know of each other."""
    parts = path.relative_to(TESTS).parts
    return "/".join(parts[:2]) if parts[0] == "services" and len(parts) > 2 else "frame"


def test_no_two_tests_have_one_name() -> None:
    modules: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for name in names_in(path):
            modules[owner_of(path), name].append(str(path.relative_to(TESTS)))
    assert ("frame", "test_no_two_tests_have_one_name") in modules
    assert {name: places for name, places in modules.items() if len(places) > 1} == {}
