"""A kind cluster for the tests, if they are given no other: created before them, deleted after them."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.cluster import ROOT, run, succeed

CONFIG = ROOT / "tests" / "e2e" / "kind" / "cluster.yaml"
ARCHIVE = ROOT / "dist" / "image.tar"
# One for each checkout, so that the next run deletes what a run that was killed has left.
NAME = f"e2e-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"
# The variable that tells the tests' processes that the cluster is this one.
CREATED = "E2E_KIND_CLUSTER"
INSTALL = {
    "kind": "make .venv/.kind",
    "kubectl": "https://kubernetes.io/docs/tasks/tools",
    "helm": "https://helm.sh/docs/intro/install, or make .venv/.helm",
    "docker or podman": "https://docs.docker.com/engine/install or https://podman.io/docs/installation",
}


def missing(path: str) -> list[str]:
    """What the cluster needs and the directories of `path` lack, each with how to install it."""
    return [
        f"{programs}: {install}"
        for programs, install in INSTALL.items()
        if not any(shutil.which(program, path=path) for program in programs.split(" or "))
    ]


def engine(env: Mapping[str, str]) -> str:
    """The host of a container engine on another machine, such as `docker` in GitLab's jobs; or ''."""
    url = urlsplit(env.get("DOCKER_HOST", ""))
    host = url.hostname or "" if url.scheme == "tcp" else ""
    return "" if host in ("localhost", "127.0.0.1", "::1") else host


def program(env: Mapping[str, str]) -> str:
    """The container engine that the Makefile builds with."""
    return "podman" if shutil.which("podman", path=env["PATH"]) else "docker"


def load(image: str, env: Mapping[str, str]) -> None:
    """Loads another image of this machine into the cluster, while it is up."""
    with tempfile.TemporaryDirectory(prefix="e2e-") as folder:
        archive = str(Path(folder, "image.tar"))
        succeed(program(env), "save", "--output", archive, image, env=env, seconds=300)
        succeed("kind", "load", "image-archive", archive, "--name", NAME, env=env, seconds=300)


class KindCluster:
    """Has the image in it. Its kubeconfig is $KUBECONFIG while the tests run; the user's is not changed."""

    def __init__(self, env: Mapping[str, str], image: str) -> None:
        """`env` has the PATH with kind, kubectl and helm."""
        self._env = dict(env)
        self._image = image
        self._folder: Path | None = None
        self._created = False

    @pytest.hookimpl(tryfirst=True)  # before the worker processes start
    def pytest_sessionstart(self) -> None:
        if lacking := missing(self._env["PATH"]):
            lines = "\n".join(f"  {line}" for line in lacking)
            pytest.exit(f"$KUBECONFIG is not set; creating a kind cluster also requires\n{lines}", 1)
        self._folder = Path(tempfile.mkdtemp(prefix="e2e-"))
        os.environ["KUBECONFIG"] = self._env["KUBECONFIG"] = str(self._folder / "kubeconfig")
        os.environ[CREATED] = NAME
        self._kind("delete", "cluster")
        self._create()
        succeed("make", "image-archive", f"IMAGE={self._image}", env=self._env, seconds=1200)
        self._kind("load", "image-archive", str(ARCHIVE), seconds=300)

    def pytest_unconfigure(self) -> None:
        if self._folder is None:
            return
        os.environ.pop("KUBECONFIG", None)
        os.environ.pop(CREATED, None)
        if self._created:
            self._kind("delete", "cluster")
        shutil.rmtree(self._folder)

    def _create(self) -> None:
        config, host = CONFIG.read_text(), engine(self._env)
        if host:  # where 127.0.0.1 is another machine's
            config += 'networking:\n  apiServerAddress: "0.0.0.0"\n'
        self._created = True  # in parts, if it fails
        self._kind("create", "cluster", "--config", "-", "--wait", "180s", stdin=config, seconds=900)
        if host:
            self._reach(host)

    def _reach(self, host: str) -> None:
        """Makes the kubeconfig name the engine's host, which the certificate of the API does not."""
        server = "jsonpath={.clusters[0].cluster.server}"
        port = urlsplit(succeed("kubectl", "config", "view", "--output", server, env=self._env)).port
        address = ("--server", f"https://{host}:{port}", "--tls-server-name", "localhost")
        succeed("kubectl", "config", "set-cluster", f"kind-{NAME}", *address, env=self._env)

    def _kind(self, *arguments: str, stdin: str | None = None, seconds: float = 120) -> None:
        done = run("kind", *arguments, "--name", NAME, env=self._env, stdin=stdin, seconds=seconds)
        if done.returncode:
            pytest.exit(f"kind cannot {' '.join(arguments[:2])}:\n{done.stderr}", 1)
