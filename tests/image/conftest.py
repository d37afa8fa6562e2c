"""The image of this checkout, which podman builds. The tests are skipped where there is no podman.

$PYTHON_IMAGE names another base image than the Dockerfile's. Where no image registry can be reached, the test
cluster that stands beside this checkout has a stand-in for it.
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
