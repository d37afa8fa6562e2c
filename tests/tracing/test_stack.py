"""The local stack, as docs/stack.md describes it: its files agree, and its programs work together.

The servers, the load, the collector, Jaeger and Prometheus run as processes, with the commands, variables and
configurations of deploy/compose.yaml, where addresses of containers are replaced by those of processes.
"""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.core.name import NAME, variable
from deploy import monitoring
from tests.monitoring.prometheus import PROMETHEUS, Prometheus
from tests.support.network.ports import unused_ports
from tests.support.servers.process import ROOT, environment
from tests.support.waiting import until
from tests.tracing.programs import WEB, collector_command

pytestmark = pytest.mark.timeout(180)

DEPLOY = ROOT / "deploy"
STACK = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
SERVERS = ("server-1", "server-2")
PROGRAMS = Path(sys.executable).parent

# The ports on which each listens in its container.
LISTENING = {
    "server-1": (50051, 9464),
    "server-2": (50051, 9464),
    "collector": (4317, 4318),
    "jaeger": (4317, 16686),
    "prometheus": (9090,),
}


def mounted(service: str) -> dict[str, Path]:
    """The files of this checkout in a container, by their paths there."""
    volumes = [one.split(":") for one in STACK[service]["volumes"]]
    return {there: (DEPLOY / here).resolve() for here, there, *_ in volumes}


def published(service: str) -> dict[int, str]:
    """The ports of a container, and where they are on this machine."""
    ports = [one.rpartition(":") for one in STACK[service].get("ports", ())]
    return {int(inside): outside for outside, _, inside in ports}


def configuration(name: str) -> Any:
    return yaml.safe_load((DEPLOY / "stack" / name).read_text())


def test_only_this_machine_can_connect() -> None:
    ports = [outside for service in STACK for outside in published(service).values()]
    assert len(ports) == len(set(ports)) == 9
    assert [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:\d+", port)] == []


def test_every_file_that_a_container_mounts_exists() -> None:
    for service in STACK:
        if "volumes" in STACK[service]:
            assert [path for path in mounted(service).values() if not path.exists()] == []


def test_images_have_the_versions_that_the_tests_build() -> None:
    images = dict(one["image"].rpartition(":")[::2] for one in STACK.values())
    modules = (ROOT / "tests/tracing/programs/go.mod").read_text()
    collector = re.findall(r"go\.opentelemetry\.io/collector/otelcol v(\S+)", modules)
    jaeger = re.findall(r"github\.com/jaegertracing/jaeger v(\S+)", modules)
    prometheus = re.findall(
        r"github\.com/prometheus/prometheus v0\.(\d)(\d\d)\.(\d+)",
        (ROOT / "tests/monitoring/prometheus/go.mod").read_text(),
    )
    assert [images["docker.io/otel/opentelemetry-collector"]] == collector
    assert [images["docker.io/jaegertracing/all-in-one"]] == jaeger
    assert [images["docker.io/prom/prometheus"]] == [
        f"v{major}.{int(minor)}.{patch}" for major, minor, patch in prometheus
    ]
    assert re.fullmatch(r"\d+\.\d+\.\d+", images["docker.io/grafana/grafana"])


def test_the_collector_takes_its_configuration() -> None:
    command = [*collector_command(), "validate", "--config", str(DEPLOY / "stack" / "collector.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_grafanas_data_sources_are_containers_of_the_stack() -> None:
    sources = {one["uid"]: one for one in configuration("datasources.yaml")["datasources"]}
    for source in sources.values():
        host, port = source["url"].removeprefix("http://").split(":")
        assert int(port) in LISTENING[host]
    [exemplars] = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert exemplars == {"name": "trace_id", "datasourceUid": sources["jaeger"]["uid"]}
    assert [uid for uid, one in sources.items() if one.get("isDefault")] == ["prometheus"]


def test_grafana_loads_the_dashboards_and_they_take_its_default_data_source() -> None:
    [provider] = configuration("dashboards.yaml")["providers"]
    folder = mounted("grafana")[provider["options"]["path"]]
    boards = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    assert len(boards) == len(monitoring.boards())
    for board in boards:
        [chosen] = [one for one in board["templating"]["list"] if one["type"] == "datasource"]
        assert chosen["query"] == "prometheus"


def test_make_stack_prints_the_addresses_that_are_published() -> None:
    [recipe] = re.findall(
        r"^stack:.*?(?=\n\n)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE | re.DOTALL
    )
    printed = {int(port) for port in re.findall(r"localhost:(\d+)", recipe)}
    ports = {int(outside.rpartition(":")[2]) for one in STACK for outside in published(one).values()}
    assert ports - printed == {4317, 4318}  # the collector's, of which only the page tells
    page = (ROOT / "docs/stack.md").read_text()
    assert {int(port) for port in re.findall(r"localhost:(\d+)", page)} == ports - {4318}


class Running:
    """The stack as processes. `ports` has, by a container and its port there, that of the process."""

    def __init__(self, folder: Path, ports: Mapping[tuple[str, int], int]) -> None:
        self.folder = folder
        self.ports = ports

    def local(self, text: str, own: str) -> str:
        """A text of the container `own`, with the addresses of processes."""
        for (name, port), mine in self.ports.items():
            names = [re.escape(name), *([r"0\.0\.0\.0"] if name == own else [])]
            text = re.sub(rf"\b(?:{'|'.join(names)}):{port}\b", f"127.0.0.1:{mine}", text)
        both = ",".join(f"127.0.0.1:{self.ports[name, 50051]}" for name in SERVERS)
        return text.replace("dns:///server:50051", f"ipv4:{both}")

    def arguments(self, service: str) -> list[str]:
        """The command of the container, with paths of copies of its files."""
        files = mounted(service) if "volumes" in STACK[service] else {}
        copied = {}
        for there, here in files.items():
            if here.is_file():
                copy = self.folder / service / here.name
                copy.parent.mkdir(exist_ok=True)
                copy.write_text(self.local(here.read_text(), service))
                copied[there] = str(copy)
        found = [self.local(one, service) for one in STACK[service]["command"]]
        for there, copy_of in copied.items():
            found = [one.replace(there, copy_of) for one in found]
        return found

    def environment(self, service: str, **more: str) -> dict[str, str]:
        given = STACK[service].get("environment", {})
        return environment(**{name: self.local(value, service) for name, value in given.items()}, **more)

    def prometheus(self) -> Prometheus:
        return Prometheus(f"http://127.0.0.1:{self.ports['prometheus', 9090]}")

    def has_trace(self, trace: str) -> bool:
        """Whether Jaeger has it by now."""
        try:
            with WEB.open(f"http://127.0.0.1:{self.ports['jaeger', 16686]}/api/traces/{trace}", timeout=20):
                return True
        except urllib.error.HTTPError:
            return False


@contextmanager
def started(folder: Path) -> Iterator[Running]:
    names = [(name, port) for name, ports in LISTENING.items() for port in ports]
    running = Running(folder, dict(zip(names, unused_ports(len(names)), strict=True)))
    ports = running.ports
    others = ("collector.otlp.http", "collector.grpc-server", "collector.http-server", "query.grpc-server")
    jaeger = [
        f"--collector.otlp.grpc.host-port=127.0.0.1:{ports['jaeger', 4317]}",
        f"--query.http-server.host-port=127.0.0.1:{ports['jaeger', 16686]}",
        *(
            f"--{name}.host-port=127.0.0.1:{port}"
            for name, port in zip((*others, "admin.http"), unused_ports(5), strict=True)
        ),
    ]
    listen = [f"--web.listen-address=127.0.0.1:{ports['prometheus', 9090]}"]
    data = [f"--storage.tsdb.path={folder / 'data'}"]
    commands = {
        "jaeger": [PROGRAMS / "jaeger", *running.arguments("jaeger"), *jaeger],
        "collector": [PROGRAMS / "otelcol", *running.arguments("collector")],
        **{
            name: [sys.executable, *STACK[name]["entrypoint"][1:], *running.arguments(name)]
            for name in SERVERS
        },
        "load": [PROGRAMS / NAME, *running.arguments("load")],
        "prometheus": [
            PROMETHEUS,
            *(one for one in running.arguments("prometheus") if not one.startswith("--storage.tsdb.path=")),
            *listen,
            *data,
        ],
    }
    with ExitStack() as opened:
        for service, command in commands.items():
            more = {}
            if service in SERVERS:
                more = {
                    "APP_LISTEN": f"127.0.0.1:{ports[service, 50051]}",
                    "APP_METRICS_LISTEN": f"127.0.0.1:{ports[service, 9464]}",
                }
            log = opened.enter_context((folder / f"{service}.log").open("w"))
            process = subprocess.Popen(
                list(map(str, command)),
                cwd=ROOT,
                env=running.environment(service, **more),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            opened.callback(_end, process)
            if service == "server-2":
                until(lambda: all('"serving"' in (folder / f"{one}.log").read_text() for one in SERVERS), 60)
        yield running


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(10)


def test_the_programs_of_the_stack_work_together(tmp_path: Path) -> None:
    for program in ("otelcol", "jaeger", "prometheus"):
        if not (PROGRAMS / program).exists():
            pytest.skip(f"{program} is required: make tracing builds it")
    with started(tmp_path) as running:
        prometheus_scrapes_both_servers_and_both_get_calls(running)
        the_trace_of_an_exemplar_is_in_jaeger(running)
        a_fault_of_one_server_shows_on_its_instance(running)


def prometheus_scrapes_both_servers_and_both_get_calls(running: Running) -> None:
    at = running.prometheus()
    _ready(at)
    query = f'sum by (instance) (rate(grpc_server_handled_total{{job="{NAME}",grpc_service!~"grpc.*"}}[30s]))'
    until(lambda: len([rate for rate in at.values(query) if rate > 5]) == 2, seconds=60)
    health = {rule["health"] for rule in at.rules()}
    assert {"ok"} <= health <= {"ok", "unknown"}, "some are evaluated only every few minutes"


def the_trace_of_an_exemplar_is_in_jaeger(running: Running) -> None:
    at = running.prometheus()
    _ready(at)

    def traces() -> set[str]:
        now = time.time()
        found = at.get(
            "query_exemplars",
            query="grpc_server_handling_seconds_bucket",
            start=str(now - 60),
            end=str(now),
        )
        return {one["labels"]["trace_id"] for series in found for one in series["exemplars"]}

    def in_jaeger() -> set[str]:
        return {trace for trace in traces() if running.has_trace(trace)}

    assert until(in_jaeger, seconds=60)


def a_fault_of_one_server_shows_on_its_instance(running: Running) -> None:
    at = running.prometheus()
    _ready(at)
    target = f"127.0.0.1:{running.ports['server-2', 50051]}"
    done = subprocess.run(
        [sys.executable, "-m", "deploy.faults", "faults", "--latency", "0.5"],
        env=environment(**{variable("--target"): target}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    slow = (
        "histogram_quantile(0.5, sum by (instance, le)"
        ' (rate(grpc_server_handling_seconds_bucket{grpc_service!~"grpc.*"}[15s]))) > 0.25'
    )
    found = until(lambda: at.get("query", query=slow)["result"], seconds=60)
    [instance] = {one["metric"]["instance"] for one in found}
    assert instance == f"127.0.0.1:{running.ports['server-2', 9464]}"


def _ready(at: Prometheus) -> None:
    def scraped() -> bool:
        try:
            return len(at.values("up == 1")) == 2
        except OSError:
            return False

    until(scraped, seconds=60)
