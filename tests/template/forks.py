"""Forks of the template, made by copier and by cookiecutter."""

import os
import subprocess
from pathlib import Path

from tests.support.servers.process import ROOT

BIN = ROOT / ".venv" / "bin"
TOOLS = ("copier", "cookiecutter")


def run(*command: str | Path, folder: Path, seconds: float = 300) -> "subprocess.CompletedProcess[str]":
    """Runs a program as a user would who has none of this checkout's variables."""
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "MFLAGS", "PYTEST_", "GIT_", "UV_", "VIRTUAL_ENV"))
    }
    return subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=variables | {"PATH": f"{BIN}:{variables['PATH']}"},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def done(*command: str | Path, folder: Path, seconds: float = 300) -> str:
    """The same; it must succeed. Returns what it prints."""
    finished = run(*command, folder=folder, seconds=seconds)
    assert finished.returncode == 0, f"{command}\n{finished.stdout[-8000:]}{finished.stderr[-8000:]}"
    return finished.stdout


def make(
    tool: str, template: Path, folder: Path, version: str = "", **answers: str
) -> "subprocess.CompletedProcess[str]":
    """Makes a fork in a folder of its project's name, without questions."""
    folder.mkdir(parents=True, exist_ok=True)
    given = [f"{key}={value}" for key, value in answers.items()]
    if tool == "copier":
        data = [word for one in given for word in ("--data", one)]
        chosen = ["--vcs-ref", version] if version else []
        command: list[str | Path] = [
            "copier",
            "copy",
            "--defaults",
            *chosen,
            *data,
            template,
            answers["project"] or "project",
        ]
    else:
        command = ["cookiecutter", "--no-input", template, *given]
    return run(*command, folder=folder)


def fork(tool: str, template: Path, folder: Path, version: str = "", **answers: str) -> Path:
    """The same; it must succeed. Returns the project's folder."""
    finished = make(tool, template, folder, version, **answers)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return folder / answers["project"]


def commit(project: Path, message: str = "test") -> str:
    """Commits everything, and returns the hash of the tree: of all names, contents and modes."""
    if not (project / ".git").exists():
        done("git", "init", "--quiet", "--initial-branch=main", folder=project)
        done("git", "config", "user.name", "test", folder=project)
        done("git", "config", "user.email", "test@example.com", folder=project)
    done("git", "add", "--all", folder=project)
    done("git", "commit", "--quiet", "--allow-empty", "--message", message, folder=project)
    return done("git", "rev-parse", "HEAD^{tree}", folder=project).strip()


def texts(project: Path) -> dict[str, str]:
    """The files of a project that are text, by their paths."""
    found = {}
    for path in sorted(project.rglob("*")):
        parts = path.relative_to(project).parts
        if path.is_file() and parts[0] not in (".git", ".venv", ".uv"):
            try:
                found[path.relative_to(project).as_posix()] = path.read_text()
            except UnicodeDecodeError:
                found[path.relative_to(project).as_posix()] = ""
    return found
