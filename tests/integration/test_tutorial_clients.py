"""Clients in the shape that published tutorials have work as they are; only their port is edited here.

Each runs in a process of its own, with its own stubs: two sets of one proto collide within a process.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.services.quotes import EMBEDDED
from tests.support.server import running

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    with running() as server:
        yield str(server.handle.addresses[0].port)


def run(*command: str, folder: Path, seconds: float = 30) -> str:
    """What the command prints; it must succeed within the time."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, encoding="utf-8", timeout=seconds, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def with_port(client: str, theirs: str, ours: str, tmp_path: Path) -> Path:
    """Copies the client's folder and the protos, as they lie in the repository, and edits the port."""
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    copy = tmp_path / "tests" / "clients" / client
    original = ROOT / "tests" / "clients" / client
    shutil.copytree(original.parent, copy.parent, ignore=shutil.ignore_patterns("node_modules", "*_pb2*"))
    text = original.read_text()
    before, *after = text.split(theirs)
    assert len(after) == 1, f"{client} names {theirs} {len(after)} times"
    copy.write_text(before + ours + after[0])
    return copy


def printed_by(client: str, proto: str, theirs: str, ours: str, tmp_path: Path) -> str:
    """What the Python client prints, with stubs generated beside it."""
    copy = with_port(client, theirs, ours, tmp_path)
    output = ("--python_out=.", "--grpc_python_out=.")
    protos = f"-I{tmp_path / 'protos'}"
    run(sys.executable, "-m", "grpc_tools.protoc", protos, *output, proto, folder=copy.parent)
    return run(sys.executable, "-X", "utf8", copy.name, folder=copy.parent)


def test_the_quoters_client_prints_real_quotes_of_the_author_it_asks_for(port: str, tmp_path: Path) -> None:
    printed = printed_by("quoter/client.py", "quote_service.proto", "5050", port, tmp_path).splitlines()
    assert len(printed) == 3
    assert set(printed) <= set(EMBEDDED.read_text("utf-8").splitlines())
    assert printed[0].endswith(" ~ Mark Twain")


def test_the_greeters_client_is_greeted_by_name(port: str, tmp_path: Path) -> None:
    printed = printed_by("greeter/greeter_client.py", "helloworld.proto", "50051", port, tmp_path)
    assert printed == "Greeter client received: Hello, World\n"


def test_grpctests_client_is_told_that_its_message_was_received(port: str, tmp_path: Path) -> None:
    printed = printed_by("grpctest/client.py", "grpctest.proto", "50051", port, tmp_path)
    said = r"Hello I am up and running received \"Hello Server you there?\" message from you"
    assert printed == f'message: "{said}"\nreceived: true\n\n'


def test_the_calculators_client_gets_its_results(port: str, tmp_path: Path) -> None:
    printed = printed_by("calculator/client.py", "Calc.proto", "50050", port, tmp_path)
    assert printed == "30\n10\n200\n2.0\n"


@pytest.mark.timeout(180)  # npm ci fetches the packages
def test_the_calculators_node_client_that_loads_the_proto_gets_its_results(port: str, tmp_path: Path) -> None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not both on PATH")
    copy = with_port("calculator-node/client.js", "50050", port, tmp_path)
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund")
    run(npm, "ci", *quiet, folder=copy.parent, seconds=150)
    assert run(node, copy.name, folder=copy.parent) == "30\n10\n200\n2\n"
