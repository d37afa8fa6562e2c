"""The files and lines that belong to an example: those that `make remove` takes out of a copy."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from difflib import SequenceMatcher
from pathlib import Path

from deploy.checkout import ROOT
from deploy.template.text import TemplateError, Text, lines_of

Files = dict[Path, bytes]


def export(target: Path) -> None:
    """Writes the files of the commit that is checked out into an empty folder."""
    target.mkdir(parents=True)
    archive = target.with_suffix(".tar")
    subprocess.run(["git", "archive", f"--output={archive}", "HEAD"], cwd=ROOT, check=True)
    subprocess.run(["tar", "--extract", f"--file={archive}", f"--directory={target}"], check=True)
    archive.unlink()


def read(folder: Path) -> Files:
    """The files in a folder, but for those that are no part of the repository."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.relative_to(folder).parts[0] not in (".git", ".venv", ".uv")
        and "__pycache__" not in path.parts
    }


def without(folder: str, target: Path) -> Files:
    """The files of the commit after `make remove` of an example."""
    export(target)
    # The environment is this checkout's, and newer than what it is made from, so make does not install it.
    for name in (".venv", ".uv"):
        (target / name).symlink_to(ROOT / name)
    for name in ("pyproject.toml", "uv.lock", "Makefile", "Dockerfile"):
        os.utime(target / name, (0, 0))
    # Options of a make that runs this are not for the one that `make remove` runs.
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        [sys.executable, "-m", "deploy.remove", folder],
        cwd=target,
        env=variables | {"PYTHONPATH": str(target), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise TemplateError(f"make remove SERVICE={folder} failed:\n{done.stdout}{done.stderr}")
    return read(target)


def removals(folders: list[str], work: Path) -> dict[str, Files]:
    """The files without each of the examples."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(folders, pool.map(lambda one: without(one, work / one), folders), strict=True))


def mark(path: Path, text: Text, example: str, rest: str) -> None:
    """Marks the lines that are not in the rest as those of the example. Raises TemplateError."""
    remaining = lines_of(rest)
    lines = [line.text for line in text.lines]
    for kind, start, end, first, last in SequenceMatcher(
        None, lines, remaining, autojunk=False
    ).get_opcodes():
        if kind == "insert":
            raise TemplateError(f"{path}:{start}: make remove SERVICE={example} adds lines")
        if kind in ("delete", "replace"):
            text.belongs(start, end, example, "".join(remaining[first:last]))
