"""A fork is installed by its own chart, from its own image, and its first service is called."""

import base64
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.template.repository import write
from tests.e2e.cluster import Namespace, succeed
from tests.e2e.plugin import BESIDE, beside
from tests.template.forks import commit, done, fork

NAME = "stock-keeper"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fork")
    assert write(folder / "template")
    found = fork(
        "copier", folder / "template", folder, project=NAME, service="Stock", registry="ghcr.io/acme"
    )
    done("make", "setup", folder=found)
    commit(found)
    return found


@contextmanager
def forwarded(namespace: Namespace) -> Iterator[str]:
    """Forwards a port to the Service, and yields the target."""
    command = ("kubectl", "--namespace", namespace.name, "port-forward", f"svc/{NAME}", ":50051")
    with subprocess.Popen(command, env=namespace.cluster.env, stdout=subprocess.PIPE, text=True) as forward:
        assert forward.stdout is not None
        port = re.search(r":(\d+) ->", forward.stdout.readline())
        assert port
        yield f"localhost:{port[1]}"
        forward.terminate()


@pytest.mark.timeout(900)
def test_a_fork_answers_through_its_own_chart(namespace: Namespace, project: Path) -> None:
    if namespace.cluster.env["KUBECONFIG"] != beside():
        pytest.skip("loads an image into the test cluster beside this checkout")
    image = f"localhost/{NAME}:dev"
    base = f"PYTHON_IMAGE={os.environ['PYTHON_IMAGE']}"
    done("make", "image", f"IMAGE={image}", base, folder=project, seconds=600)
    succeed(str(BESIDE), "load", image, env=namespace.cluster.env, seconds=300)
    values = ("--set", f"image.repository=localhost/{NAME}", "--set", "image.tag=dev")
    namespace.helm("install", NAME, str(project / "helm" / NAME), *values, "--wait", "--timeout", "90s")

    secret = namespace.get("secret", f"{NAME}-token")["data"]["token"]
    token = project / "token"
    token.write_bytes(base64.b64decode(secret))
    with forwarded(namespace) as target:
        call = ("call", "StockService/GetItem", '{"id": "1"}', "--target", target, "--token-file", token)
        printed = done(project / ".venv/bin" / NAME, *call, folder=project)
    assert printed == '{"id": "1", "name": "item 1"}\n'
    namespace.test(NAME)
    namespace.uninstall(NAME)
