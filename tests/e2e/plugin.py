"""The cluster that the tests run on, their fixtures, and the lines that they print.

If $KUBECONFIG is set, the tests run on that cluster; the image $IMAGE (default localhost/NAME:dev) must be
loaded into it, or be one that it can pull. Without a tool that they need, the tests are then skipped.

Otherwise they run on the test cluster beside this checkout, if there is one: it is started, and stopped at
the end unless it was up before, and the image is built and loaded. Where no registry can be reached, its base
is made from Debian's packages.

Otherwise a kind cluster is created, the image is built and loaded, and the cluster is deleted at the end.

$PROMETHEUS is the address of a Prometheus that scrapes the cluster's pods by their annotations; the test
cluster has one.

Files run in parallel, each in a namespace of its own.
"""

import os
import secrets
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.core.name import NAME, variable
from tests.e2e import kind_cluster
from tests.e2e.calling import HEADLESS, Client, Pod, ghz, own, stock
from tests.e2e.cluster import RELEASE, ROOT, Cluster, Namespace, create_echo, run, succeed
from tests.e2e.kind_cluster import KindCluster
from tests.e2e.prometheus import Prometheus
from tests.support.debian.base_image import base_image

BESIDE = ROOT.parent / "shared" / "cluster" / "cluster"
ITS_PROMETHEUS = "http://127.0.0.1:9090"
IMAGE = os.environ.get("IMAGE") or f"localhost/{NAME}:dev"
Measured = Callable[[str], None]  # prints a line with the measured figures
TOOLS = ("kubectl", "helm", "curl", "base64")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--times", type=int, default=3, help="number of updates and deletions (3)")


def environment() -> dict[str, str]:
    """This process's environment with the tools on PATH, and with KUBECONFIG, empty without a cluster."""
    tools = os.environ.get("CLUSTER_BIN") or str(Path.home() / ".cache" / "test-cluster" / "bin")
    path = os.pathsep.join([str(Path(sys.executable).parent), tools, os.environ.get("PATH", os.defpath)])
    found = {name: value for name, value in os.environ.items() if not name.startswith(variable(""))}
    return found | {"PATH": path, "KUBECONFIG": os.environ.get("KUBECONFIG") or beside()}


def beside() -> str:
    """The path of the kubeconfig of the test cluster beside this checkout, or an empty string."""
    return succeed(str(BESIDE), "kubeconfig", env=os.environ).strip() if BESIDE.exists() else ""


class TestCluster:
    """The test cluster beside this checkout, up while the tests run, with the image in it."""

    __test__ = False  # to pytest
    _started = False

    def __init__(self) -> None:
        self._env = environment()

    @pytest.hookimpl(tryfirst=True)  # before the worker processes start
    def pytest_sessionstart(self) -> None:
        up = run(str(BESIDE), "up", env=self._env, seconds=3600)
        if up.returncode:
            pytest.exit(f"the test cluster is not up: {up.stderr}", 1)
        self._started = "already up" not in up.stderr
        os.environ["PYTHON_IMAGE"] = base_image()  # and for tests that build the image
        succeed("make", "image", f"IMAGE={IMAGE}", env=environment(), seconds=1200)
        succeed(str(BESIDE), "load", IMAGE, env=self._env, seconds=300)
        if not Prometheus(ITS_PROMETHEUS).answers():  # a second one could not listen on its port
            succeed(str(BESIDE), "prometheus", env=self._env, seconds=1200)

    def pytest_unconfigure(self) -> None:
        if self._started:
            succeed(str(BESIDE), "down", env=self._env)


class Figures:
    """Prints the lines with measured figures after each test."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        lines = [value for name, value in report.user_properties if name == "measured"]
        if report.when == "call" and lines:
            terminal = self._config.pluginmanager.get_plugin("terminalreporter")
            assert terminal is not None
            for line in lines:
                terminal.write(f"\n{line}\n")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):  # a worker process; only the main process does this
        return
    config.pluginmanager.register(Figures(config))
    if not config.option.collectonly and (cluster := started(environment(), beside())):
        config.pluginmanager.register(cluster)


def started(env: dict[str, str], beside: str) -> TestCluster | KindCluster | None:
    """What starts a cluster for the tests: None if one is given, by the KUBECONFIG of `env`."""
    if not env["KUBECONFIG"]:
        return KindCluster(env, IMAGE)
    return TestCluster() if env["KUBECONFIG"] == beside else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs the files with the longest timeouts first, so that none runs alone at the end."""
    longest: Counter[Path] = Counter()
    for item in items:
        if allowed := item.get_closest_marker("timeout"):
            longest[item.path] = max(longest[item.path], allowed.args[0])
    items.sort(key=lambda item: -longest[item.path])


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Measured:
    return lambda line: request.node.user_properties.append(("measured", line))


@pytest.fixture
def times(request: pytest.FixtureRequest) -> int:
    """The number of updates and deletions."""
    return int(request.config.getoption("--times"))


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    env = environment()
    if missing := [tool for tool in TOOLS if shutil.which(tool, path=env["PATH"]) is None]:
        pytest.skip(f"not on the PATH: {', '.join(missing)}")
    return Cluster(env, IMAGE)


@pytest.fixture(scope="session")
def load_image(cluster: Cluster) -> Callable[[str], None]:
    """Loads an image of this machine into the cluster, if the tests have started that."""
    if cluster.env["KUBECONFIG"] == beside():

        def load(image: str) -> None:
            succeed(str(BESIDE), "load", image, env=cluster.env, seconds=300)

        return load
    if os.environ.get(kind_cluster.CREATED):
        return lambda image: kind_cluster.load(image, cluster.env)
    pytest.skip("images of this machine cannot be loaded into the cluster of $KUBECONFIG")


@pytest.fixture(scope="session")
def prometheus(cluster: Cluster) -> Prometheus:
    if address := os.environ.get("PROMETHEUS"):
        return Prometheus(address.rstrip("/"))
    if cluster.env["KUBECONFIG"] != beside():
        pytest.skip("$PROMETHEUS is not set: the address of a Prometheus that scrapes this cluster's pods")
    return Prometheus(ITS_PROMETHEUS)


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[Namespace]:
    """A namespace for the tests of a file, deleted afterwards."""
    with new_namespace(cluster) as found:
        yield found


@contextmanager
def new_namespace(cluster: Cluster) -> Iterator[Namespace]:
    name = f"{NAME}-e2e-{secrets.token_hex(4)}"
    level = "pod-security.kubernetes.io/enforce=restricted"
    succeed("kubectl", "create", "namespace", name, env=cluster.env)
    found = Namespace(name, cluster)
    try:
        succeed("kubectl", "label", "namespace", name, level, env=cluster.env)
        found.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=30s")
        create_echo(found)
        yield found
    finally:
        succeed("kubectl", "delete", "namespace", name, "--wait=false", env=cluster.env)
        found.kubectl("delete", "pods", "--all", "--grace-period=1", "--wait=false")
        succeed(
            "kubectl",
            "wait",
            "--for=delete",
            f"namespace/{name}",
            "--timeout=3m",
            env=cluster.env,
            seconds=200,
        )


@pytest.fixture(scope="module")
def another_namespace(cluster: Cluster) -> Iterator[Namespace]:
    """A second namespace."""
    with new_namespace(cluster) as found:
        yield found


@pytest.fixture(scope="module")
def installed(namespace: Namespace) -> Iterator[Namespace]:
    """The namespace with the chart installed by its default values. After the uninstall nothing is left."""
    namespace.install(RELEASE)
    yield namespace
    namespace.uninstall(RELEASE)
    assert namespace.objects() == set()


@pytest.fixture(scope="module")
def pod(installed: Namespace) -> Iterator[Pod]:
    """The pod for clients, with the token in /token."""
    with Pod(installed, {"/token": f"{RELEASE}-token"}) as found:
        yield found


@pytest.fixture(scope="module")
def clients(installed: Namespace) -> list[Client]:
    """Every kind of client, on both Services."""
    token = installed.token()
    return [
        own(HEADLESS, "--token-file", "/token/token"),
        stock(HEADLESS),
        *ghz(HEADLESS, token, balancing="round_robin"),
        *ghz(f"{RELEASE}:50051", token, balancing="pick_first"),
    ]
