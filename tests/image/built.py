"""An image built by `make image`: its files, and containers that run it."""

import hashlib
import json
import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.debian.base_image import base_image

ROOT = Path(__file__).parents[2]

# The requirements of the Pod Security level `restricted`, and a read-only root.
RESTRICTED = (
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
)


def podman(*arguments: str, seconds: float = 60) -> str:
    """Runs a command that must succeed, and returns its output."""
    done = subprocess.run(
        ["podman", *arguments], capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, (
        f"podman {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
    )
    return done.stdout.strip()


def build(name: str, context: Path, *variables: str) -> "Built":
    """Builds the image in this checkout or a copy of it. The first build takes a minute."""
    done = subprocess.run(
        ["make", "image", f"IMAGE={name}", f"PYTHON_IMAGE={base_image()}", *variables],
        cwd=context,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return Built(name)


class Entry(NamedTuple):
    """A file, directory or link, without its modification time, which Docker sets to that of the build."""

    kind: bytes
    mode: int
    owner: tuple[int, int]
    target: str
    digest: str


class Container:
    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.pid = int(podman("inspect", "--format", "{{.State.Pid}}", identity))

    def log(self) -> list[Any]:
        text = podman("logs", self.identity)
        return [json.loads(line) for line in text.splitlines() if line.startswith('{"timestamp"')]

    def wait_for(self, event: str, seconds: float = 20) -> Any:
        end = time.monotonic() + seconds
        while True:
            if found := [line for line in self.log() if line["event"] == event]:
                return found[0]
            assert time.monotonic() < end, podman("logs", self.identity)
            time.sleep(0.05)

    def seconds_since_its_start(self) -> float:
        """With the kernel's resolution of a hundredth of a second."""
        started = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[19]
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(started) / 100

    def end(self, signal: str) -> int:
        """Sends the signal to process 1, and returns its exit status."""
        podman("kill", "--signal", signal, self.identity)
        return int(podman("wait", self.identity, seconds=20))


@dataclass(frozen=True)
class Built:
    name: str

    def inspect(self) -> Any:
        [found] = json.loads(podman("image", "inspect", self.name))
        return found

    def tree(self) -> dict[str, Entry]:
        """All files of the image, by their paths."""
        identity = podman("create", self.name)
        try:
            with subprocess.Popen(["podman", "export", identity], stdout=subprocess.PIPE) as exported:
                assert exported.stdout is not None
                with tarfile.open(fileobj=exported.stdout, mode="r|") as archive:
                    found = {one.name: entry(archive, one) for one in archive}
        finally:
            podman("rm", "--force", identity)
        assert exported.returncode == 0
        return found

    def run(self, *command: str, options: Sequence[str] = ()) -> str:
        """Runs a command in the image, as its user, to its end."""
        program, *arguments = command
        return podman("run", "--rm", *options, "--entrypoint", program, self.name, *arguments)

    @contextmanager
    def serve(self, *options: str, command: Sequence[str] = (), **variables: str) -> Iterator[Container]:
        """Runs the server on loopback, on ports that the system chooses unless `variables` name some.

        `command` is the image's own, if it is empty.
        """
        given = {"APP_LISTEN": "127.0.0.1:0", "APP_METRICS_LISTEN": "127.0.0.1:0", "APP_DRAIN_DELAY": "0.2"}
        env = [f"--env={name}={value}" for name, value in (given | variables).items()]
        identity = podman(
            "run", "--detach", "--network=host", *RESTRICTED, *options, *env, self.name, *command
        )
        try:
            yield Container(identity)
        finally:
            podman("rm", "--force", "--time=0", identity)


def entry(archive: tarfile.TarFile, one: tarfile.TarInfo) -> Entry:
    file = archive.extractfile(one) if one.isreg() else None
    digest = hashlib.sha256(file.read()).hexdigest() if file is not None else ""
    return Entry(one.type, one.mode, (one.uid, one.gid), one.linkname, digest)
