"""Imports go one way, from the command line down to the generated code."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

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
    {"auth", "telemetry", "tls"},
    {"reload"},
    {"core"},
    {"gen"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

# Within interceptors, a concern knows what a concern is and nothing of the others.
ABOUT_CHAINS = {"concern", "hooks", "requests", "arities", "chain"}


def modules() -> list[Path]:
    return [
        path for path in sorted(APP.rglob("*.py")) if "gen" not in path.parts and path != APP / "__init__.py"
    ]


def imported(path: Path) -> set[str]:
    """The modules of this program that the file imports, without the leading `app.`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            if node.module == "app":
                found |= {alias.name for alias in node.names}
            elif node.module.startswith("app."):
                found.add(node.module.removeprefix("app."))
        elif isinstance(node, ast.Import):
            found |= {
                alias.name.removeprefix("app.") for alias in node.names if alias.name.startswith("app.")
            }
    return found


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
        assert siblings <= {"concern"}, f"{path.stem} imports {siblings}"


def test_importing_everything_reads_no_variable_starts_no_thread_and_opens_nothing() -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in modules()
        if path.name != "__main__.py"
    ]
    program = f"""
import importlib, os, sys, threading
import grpc, structlog, typer, pydantic, prometheus_client, grpc_status.rpc_status
import grpc_health.v1.health, grpc_reflection.v1alpha.reflection, rich.console
import opentelemetry.sdk.trace.export, opentelemetry.instrumentation.grpc
before = threading.active_count()
seen = []
def audit(event, arguments):
    if event == "socket.bind" or event == "subprocess.Popen":
        seen.append((event, arguments))
    if event == "open" and "w" in str(arguments[1]) and ".pyc" not in str(arguments[0]):
        seen.append((event, arguments))
sys.addaudithook(audit)
class Environment(dict):
    def __getitem__(self, name): seen.append(name); return super().__getitem__(name)
    def get(self, name, default=None): seen.append(name); return super().get(name, default)
os.environ = Environment(os.environ)
for name in {names!r}:
    importlib.import_module(name)
ours = [one for one in seen if not isinstance(one, str) or one.startswith(("APP_", "QUOTER_"))]
assert not ours, ours
assert threading.active_count() == before
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, timeout=30)
