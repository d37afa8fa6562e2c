"""A copy of the program, for tests that change it as whoever forks it does."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.servers.process import ROOT, environment


def forked(folder: Path) -> Path:
    """Returns a folder in the given one, with the program, its protos and what its tests share."""
    fork = folder / "fork"
    for name in ("app", "protos", "tests"):
        shutil.copytree(ROOT / name, fork / name, ignore=shutil.ignore_patterns("__pycache__"))
    return fork


def python(fork: Path, *arguments: str) -> str:
    """Runs Python in the fork, where `app` and `tests` are the fork's, and returns what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=fork,
        env=environment(PYTHONPATH=str(fork)),
        check=True,
        timeout=60,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout
