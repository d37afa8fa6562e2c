"""Imports go one way, from the command line down to the generated code."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from app.core.name import variable

ROOT = Path(__file__).parents[2]
APP = ROOT / "app"

# Each layer may import those below it. What stands on one line does not import its neighbours.
LAYERS = [
    {"__main__"},
    {"cli"},
    {"server", "tools"},
    {"wiring"},
    {"client"},
    {"settings"},
    {"interceptors", "runtime", "services"},
    {"auth", "database", "telemetry", "tls"},
    {"reload"},
    {"core"},
    {"gen"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

# How a call waits for its first message.
FIRST_MESSAGE = {"first_message", "read_ahead", "waiting_calls", "early_streams"}
# Within interceptors, a concern knows what a concern is and nothing of the others.
ABOUT_CHAINS = {"concern", "hooks", "requests", "arities", "chain", "shares", "queue", *FIRST_MESSAGE}


def modules() -> list[Path]:
    return [
        path for path in sorted(APP.rglob("*.py")) if "gen" not in path.parts and path != APP / "__init__.py"
    ]


def imported(path: Path, text: str | None = None) -> set[str]:
    """The modules of this program that the file imports, without the leading `app.`.

    `text` stands in for what the file contains.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text() if text is None else text)):
        if isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            module = ".".join((*package, *filter(None, [node.module])))
            if not f"{module}.".startswith("app."):
                continue
            if ROOT.joinpath(*module.split(".")).is_dir():  # a package: what is imported are its modules
                found |= {f"{module}.{alias.name}".removeprefix("app.") for alias in node.names}
            else:
                found.add(module.removeprefix("app."))
        elif isinstance(node, ast.Import):
            found |= {
                alias.name.removeprefix("app.") for alias in node.names if alias.name.startswith("app.")
            }
    return found


@pytest.mark.parametrize(
    ("text", "modules"),
    [
        ("from app.core import call, code", {"core.call", "core.code"}),
        ("from app import core", {"core"}),
        ("import app.core.call, os", {"core.call"}),
        ("from . import limit", {"interceptors.limit"}),
        ("from .limit import Limit", {"interceptors.limit"}),
        ("from ..core.call import Call", {"core.call"}),
        ("from .. import core", {"core"}),
        ("from os import path", set()),
    ],
)
def test_absolute_and_relative_imports_are_seen(text: str, modules: set[str]) -> None:
    assert imported(APP / "interceptors" / "metrics.py", text) == modules


def layer(path: Path) -> str:
    return path.relative_to(APP).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(APP)))
def test_a_module_imports_only_what_is_below_it(path: Path) -> None:
    own = layer(path)
    for name in imported(path):
        other = name.split(".")[0]
        assert other == own or LEVEL[other] > LEVEL[own], f"{own} imports {name}"


@pytest.mark.parametrize("path", sorted((APP / "interceptors").glob("*.py")), ids=lambda path: path.stem)
def test_a_concern_imports_no_other_concern(path: Path) -> None:
    siblings = {name.split(".")[1] for name in imported(path) if name.startswith("interceptors.")}
    assert siblings <= ABOUT_CHAINS, f"{path.stem} imports {siblings}"
    if path.stem not in ABOUT_CHAINS:
        assert siblings <= {"concern", *({"queue"} if path.stem == "limit" else ())}, (
            f"{path.stem} imports {siblings}"
        )


# Records what is opened, bound and started from here on, but for what Python's import machinery reads itself.
WATCH = f"""
import importlib, os, sys, threading
seen = []
def audit(event, arguments):
    if event in ("socket.bind", "socket.connect", "subprocess.Popen"):
        seen.append((event, arguments))
    if event == "open" and not sys._getframe(1).f_code.co_filename.startswith("<frozen importlib"):
        seen.append((event, arguments))
class Environment(dict):
    def __getitem__(self, name): seen.append(("variable", name)); return super().__getitem__(name)
    def get(self, name, default=None): seen.append(("variable", name)); return super().get(name, default)
def watch():
    sys.addaudithook(audit)
    os.environ = Environment(os.environ)
def found():
    return [one for one in seen if one[0] != "variable" or one[1].startswith(("APP_", "{variable("")}"))]
"""


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WATCH + program],
        cwd=ROOT,
        check=True,
        timeout=30,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def test_importing_everything_reads_no_variable_starts_no_thread_and_opens_nothing() -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in modules()
        if path.name != "__main__.py"
    ]
    program = f"""
import grpc, structlog, typer, pydantic, prometheus_client, grpc_status.rpc_status
import psycopg, psycopg_pool, psycopg.conninfo
import grpc_health.v1.health, grpc_reflection.v1alpha.reflection, rich.console
import opentelemetry.sdk.trace.export, opentelemetry.instrumentation.grpc
before = threading.active_count()
watch()
for name in {names!r}:
    importlib.import_module(name)
print(found(), threading.active_count() - before)
"""
    assert run(program) == "[] 0\n"


@pytest.mark.parametrize(
    "act",
    [
        "open('pyproject.toml').read()",
        "pathlib.Path('pyproject.toml').read_text()",
        "open(os.devnull, 'w').close()",
        "socket.create_server(('127.0.0.1', 0)).close()",
        "os.environ.get('APP_LISTEN')",
    ],
)
def test_what_a_module_opens_or_reads_when_it_is_imported_would_be_seen(act: str) -> None:
    assert run(f"import pathlib, socket\nwatch()\n{act}\nprint(found())") != "[]\n"


def test_no_modules_import_each_other_in_a_circle() -> None:
    names = {
        ".".join(path.relative_to(APP).with_suffix("").parts).removesuffix(".__init__"): path
        for path in modules()
    }
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        found = {one if one in names else one.rpartition(".")[0] for one in imported(path)} & names.keys()
        # The package that a module stands in does not count.
        graph[name] = {other for other in found if not f"{name}.".startswith(f"{other}.")}
    TopologicalSorter(graph).prepare()  # raises CycleError
