"""Where the tests run.

On the cluster of $KUBECONFIG, where that is set; the image that $IMAGE names (localhost/quoter:dev where it
is unset) must have been loaded into it, or be one that it can pull. Elsewhere on the test cluster that stands
beside this checkout: it is started, and stopped at the end unless it was up before, and the image is built
and loaded. The tests are skipped where there is neither, or where a tool is missing.
"""

import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import RELEASE, ROOT, Cluster, Namespace, run, succeed

BESIDE = ROOT.parent / "shared" / "cluster" / "cluster"


def _skip(reason: str) -> None:
    print(f"e2e tests are skipped: {reason}")  # noqa: T201 - to be seen without -ra, too
    pytest.skip(reason)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    image = os.environ.get("IMAGE") or "localhost/quoter:dev"
    tools = os.environ.get("CLUSTER_BIN") or str(Path.home() / ".cache" / "test-cluster" / "bin")
    path = os.pathsep.join([str(Path(sys.executable).parent), tools, os.environ.get("PATH", os.defpath)])
    env = {name: value for name, value in os.environ.items() if not name.startswith("QUOTER_")} | {
        "PATH": path
    }
    beside = succeed(str(BESIDE), "kubeconfig", env=env).strip() if BESIDE.exists() else ""
    env["KUBECONFIG"] = env.get("KUBECONFIG") or beside
    if not env["KUBECONFIG"]:
        _skip(f"$KUBECONFIG is not set, and there is no test cluster at {BESIDE}")

    started = False
    if env["KUBECONFIG"] == beside:
        succeed(str(BESIDE), "base-image", env=env, seconds=1200)
        up = run(str(BESIDE), "up", env=env, seconds=3600)
        assert up.returncode == 0, up.stderr
        started = "already up" not in up.stderr
    try:
        needed = ["kubectl", "helm", "curl", "base64", *(["podman"] if env["KUBECONFIG"] == beside else [])]
        if missing := [tool for tool in needed if shutil.which(tool, path=path) is None]:
            _skip(f"not on the PATH: {', '.join(missing)}")
        if env["KUBECONFIG"] == beside:
            succeed("make", "image", f"IMAGE={image}", env=env, seconds=1200)
            succeed(str(BESIDE), "load", image, env=env, seconds=300)
        yield Cluster(env, image)
    finally:
        if started:
            succeed(str(BESIDE), "down", env=env)


@pytest.fixture(scope="session")
def namespace(cluster: Cluster) -> Iterator[Namespace]:
    """A namespace of its own, which is gone afterwards."""
    name = f"quoter-e2e-{secrets.token_hex(4)}"
    level = "pod-security.kubernetes.io/enforce=restricted"
    succeed("kubectl", "create", "namespace", name, env=cluster.env)
    try:
        succeed("kubectl", "label", "namespace", name, level, env=cluster.env)
        yield Namespace(name, cluster)
    finally:
        succeed(
            "kubectl", "delete", "namespace", name, "--wait", "--timeout", "3m", env=cluster.env, seconds=200
        )


@pytest.fixture(scope="session")
def quoter(namespace: Namespace) -> Iterator[Namespace]:
    """The namespace with the chart installed in it, by its default values. Uninstalling it leaves nothing."""
    namespace.install(RELEASE)
    yield namespace
    namespace.uninstall(RELEASE)
    assert namespace.objects() == set()
