"""The image of this checkout, built by podman. Without podman, the tests are skipped.

$PYTHON_IMAGE replaces the Dockerfile's base image. The test cluster beside this checkout, if there is one,
provides a base image where no registry can be reached.
"""

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.image.built import ROOT, Built, build, podman

BESIDE = ROOT.parent / "shared" / "cluster" / "cluster"


@pytest.fixture(scope="session")
def image() -> Iterator[Built]:
    if BESIDE.exists():
        subprocess.run([BESIDE, "base-image"], check=True, capture_output=True, timeout=1200)
    if shutil.which("podman") is None:
        pytest.skip("no podman")
    built = build("localhost/quoter-test:one", ROOT, "CONTAINERS=podman")
    yield built
    podman("rmi", "--force", built.name)
