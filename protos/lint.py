"""Runs `buf lint` on each folder of protos, by the rules of its buf.yaml: a part of `make lint`.

buf finds imports beside the protos or in its own registry, so it runs on a copy that has the protos of
googleapis-common-protos too.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from protos.generate import COMMON, PACKAGES, RENAMED, ROOT


def lint(protos: Path, name: str) -> int:
    """Returns the exit status of buf, which prints each finding with a path below `name`."""
    own = sorted(path.relative_to(protos).as_posix() for path in protos.rglob("*.proto"))
    if not own:
        return 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, name)
        for source in (COMMON / "google").rglob("*.proto"):
            _copy(source, copy / source.relative_to(COMMON))
        for imported, installed in RENAMED.items():
            (copy / installed).rename(copy / imported)
        for file in (*own, "buf.yaml"):
            _copy(protos / file, copy / file)
        only = [part for file in own for part in ("--path", f"{name}/{file}")]
        return subprocess.run(["buf", "lint", name, *only], cwd=folder, check=False).returncode


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


if __name__ == "__main__":
    sys.exit(max(lint(protos, protos.relative_to(ROOT).as_posix()) for protos in PACKAGES.values()))
