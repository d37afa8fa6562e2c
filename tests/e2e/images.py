"""Images that a few files need in addition to the server's, built and loaded when they are needed."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.cluster import succeed


def engine(env: Mapping[str, str]) -> str:
    """The program that the Makefile builds with."""
    return "podman" if shutil.which("podman", path=env["PATH"]) else "docker"


def build(image: str, folder: Path, env: Mapping[str, str], **arguments: str) -> None:
    """Builds the folder's Dockerfile. The engine's own cache has what did not change."""
    given = (part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}"))
    succeed(engine(env), "build", "--quiet", "--tag", image, *given, str(folder), env=env, seconds=600)
