"""Runs clients in the shape that published tutorials have; only their port is edited.

Each client runs in a process of its own, with its own stubs: two sets of one proto collide within a process.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.servers.process import ROOT


def run(*command: str, folder: Path, seconds: float = 30) -> str:
    """Returns what the command prints; it must succeed within the time."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, encoding="utf-8", timeout=seconds, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def with_port(client: Path, theirs: str, ours: str, tmp_path: Path) -> Path:
    """Copies the client's folder and the protos to their paths under `tmp_path`, and edits the port."""
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    copy = tmp_path / client.relative_to(ROOT)
    shutil.copytree(client.parent, copy.parent, ignore=shutil.ignore_patterns("node_modules", "*_pb2*"))
    before, *after = client.read_text().split(theirs)
    assert len(after) == 1, f"{client} names {theirs} {len(after)} times"
    copy.write_text(before + ours + after[0])
    return copy


def printed_by(client: Path, proto: str, theirs: str, target: str, tmp_path: Path) -> str:
    """Returns what the Python client prints, with stubs generated beside it.

    `theirs` is the port that the tutorial names; the client calls `target`'s instead.
    """
    copy = with_port(client, theirs, port(target), tmp_path)
    output = ("--python_out=.", "--grpc_python_out=.")
    protos = f"-I{tmp_path / 'protos'}"
    run(sys.executable, "-m", "grpc_tools.protoc", protos, *output, proto, folder=copy.parent)
    return run(sys.executable, "-X", "utf8", copy.name, folder=copy.parent)


def port(target: str) -> str:
    return target.rpartition(":")[2]
