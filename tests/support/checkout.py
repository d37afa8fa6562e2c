"""A copy of this checkout, for tests of the tools that change one."""

import shutil
import subprocess
from pathlib import Path

from tests.support.servers.process import ROOT, environment

# The copy shares the environment, so nothing in it may be installed anew: it would install the copy.
_UV = '#!/bin/sh\n[ "$1" = sync ] && exit 0\nexec {uv} "$@"\n'


class Checkout:
    """A copy of the files that git has or would add, with one commit, in which `make` works."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "checkout"
        listed = _run("git", "ls-files", "-z", "-co", "--exclude-standard", folder=ROOT).stdout
        for name in filter(None, listed.split("\0")):
            source, copy = ROOT / name, self.root / name
            if source.is_file():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, copy)  # with its mode
        self._share_environment()
        self.run("git", "init", "-q")
        self.run("git", "config", "user.name", "test")
        self.run("git", "config", "user.email", "test@example.com")
        self.commit()

    def _share_environment(self) -> None:
        (self.root / ".venv").mkdir()
        for path in (ROOT / ".venv").iterdir():
            if not path.name.startswith("."):
                (self.root / ".venv" / path.name).symlink_to(path)
        uv = self.root / ".uv" / "bin" / "uv"
        uv.parent.mkdir(parents=True)
        uv.write_text(_UV.format(uv=ROOT / ".uv" / "bin" / "uv"))
        uv.chmod(0o755)
        uv.with_name("python").symlink_to(ROOT / ".uv" / "bin" / "python")
        (self.root / ".venv" / ".locked").touch()

    def commit(self) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "-m", "test", "--allow-empty")

    def run(self, *command: str, seconds: float = 150, **variables: str) -> str:
        """Returns what the command prints in the copy; it must succeed."""
        done = self.attempt(*command, seconds=seconds, **variables)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def attempt(
        self, *command: str, seconds: float = 150, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        return _run(*command, folder=self.root, seconds=seconds, **variables)

    def python(self, *arguments: str, seconds: float = 150) -> str:
        """Runs Python with `app` and `tests` of the copy, and returns what it prints."""
        return self.run(".venv/bin/python", *arguments, seconds=seconds)

    def text(self, path: str) -> str:
        return (self.root / path).read_text()

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)


def _run(
    *command: str, folder: Path, seconds: float = 150, **variables: str
) -> "subprocess.CompletedProcess[str]":
    # Make and pytest hand options down to those that they start.
    given = {
        name: value
        for name, value in environment(PYTHONPATH=str(folder), **variables).items()
        if not name.startswith(("MAKE", "MFLAGS", "PYTEST_", "GIT_"))
    }
    return subprocess.run(
        command, cwd=folder, env=given, capture_output=True, text=True, timeout=seconds, check=False
    )
