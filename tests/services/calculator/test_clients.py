"""The published tutorials' clients work as they are, apart from their port."""

import shutil
from pathlib import Path

import pytest

from tests.support.clients.tutorial import port, printed_by, run, with_port
from tests.support.servers.server import Server

CLIENTS = Path(__file__).parent / "clients"


def test_the_calculators_client_gets_its_results(server: Server, tmp_path: Path) -> None:
    printed = printed_by(CLIENTS / "python" / "client.py", "Calc.proto", "50050", server.target, tmp_path)
    assert printed == "30\n10\n200\n2.0\n"


@pytest.mark.timeout(180)  # npm ci fetches the packages
def test_the_calculators_node_client_that_loads_the_proto_gets_its_results(
    server: Server, tmp_path: Path
) -> None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not both on PATH")
    copy = with_port(CLIENTS / "node" / "client.js", "50050", port(server.target), tmp_path)
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund")
    run(npm, "ci", *quiet, folder=copy.parent, seconds=150)
    assert run(node, copy.name, folder=copy.parent) == "30\n10\n200\n2\n"
