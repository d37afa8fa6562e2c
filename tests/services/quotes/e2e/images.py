"""Images that these tests need in addition to the server's, built when they are needed."""

from collections.abc import Mapping
from pathlib import Path

from tests.e2e.cluster import succeed
from tests.e2e.kind_cluster import program


def build(image: str, folder: Path, env: Mapping[str, str], **arguments: str) -> None:
    """Builds the folder's Dockerfile. The engine's own cache has what did not change."""
    given = (part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}"))
    succeed(program(env), "build", "--quiet", "--tag", image, *given, str(folder), env=env, seconds=600)
