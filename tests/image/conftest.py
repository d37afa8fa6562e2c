"""The image of this checkout, built by podman. Without podman, the tests are skipped.

$PYTHON_IMAGE replaces the Dockerfile's base image. Where no registry can be reached, one is made, once, from
Debian's packages.
"""

import shutil
from collections.abc import Iterator

import pytest

from app.core.name import NAME
from tests.image.built import ROOT, Built, build, podman


@pytest.fixture(scope="session")
def image() -> Iterator[Built]:
    if shutil.which("podman") is None:
        pytest.skip("no podman")
    built = build(f"localhost/{NAME}-test:one", ROOT, "CONTAINERS=podman")
    yield built
    podman("rmi", "--force", built.name)
