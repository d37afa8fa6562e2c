"""A cluster and a namespace in it, through kubectl and helm."""

import base64
import json
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from app.core.name import NAME
from tests.support.chart import CHART
from tests.support.servers.echo import PYTHONPATH

ROOT = Path(__file__).parents[2]
RELEASE = NAME

# The modules of the probe, for the server and the command line in pods.
ECHO = "echo"
ECHO_FILES = {
    "sitecustomize.py": ROOT / "tests/support/servers/startup/sitecustomize.py",
    "tests/gen/probe_pb2.py": ROOT / "tests/gen/probe_pb2.py",
    "tests/gen/probe_pb2_grpc.py": ROOT / "tests/gen/probe_pb2_grpc.py",
    "tests/support/servers/echo.py": ROOT / "tests/support/servers/echo.py",
}


def run(
    *command: str,
    env: Mapping[str, str],
    stdin: str | None = None,
    seconds: float = 120,
    folder: Path = ROOT,
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, whatever that is."""
    return subprocess.run(
        command,
        cwd=folder,
        env=env,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def succeed(
    *command: str,
    env: Mapping[str, str],
    stdin: str | None = None,
    seconds: float = 120,
    folder: Path = ROOT,
) -> str:
    """Runs a command that must succeed, and returns what it printed."""
    done = run(*command, env=env, stdin=stdin, seconds=seconds, folder=folder)
    assert done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Cluster:
    """`env` has KUBECONFIG, and a PATH with kubectl, helm and this checkout's command."""

    env: Mapping[str, str] = field(repr=False)  # may hold secrets, and pytest prints failures
    image: str

    @property
    def image_values(self) -> tuple[str, ...]:
        repository, _, tag = self.image.rpartition(":")
        return ("--set", f"image.repository={repository}", "--set-string", f"image.tag={tag}")


@dataclass(frozen=True)
class Namespace:
    """A namespace that enforces the Pod Security level `restricted`."""

    name: str
    cluster: Cluster

    def at_home(self, kubeconfig: Path) -> "Namespace":
        """The same namespace as the default of kubectl and helm, by a kubeconfig that this writes."""
        env = dict(self.cluster.env)
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(succeed("kubectl", "config", "view", "--raw", "--flatten", env=env))
        env["KUBECONFIG"] = str(kubeconfig)
        succeed("kubectl", "config", "set-context", "--current", f"--namespace={self.name}", env=env)
        return replace(self, cluster=replace(self.cluster, env=env))

    def kubectl(self, *arguments: str, stdin: str | None = None, seconds: float = 120) -> str:
        env = self.cluster.env
        return succeed("kubectl", "--namespace", self.name, *arguments, env=env, stdin=stdin, seconds=seconds)

    def helm(self, *arguments: str, seconds: float = 240) -> str:
        return succeed("helm", "--namespace", self.name, *arguments, env=self.cluster.env, seconds=seconds)

    def install(self, release: str, *arguments: str) -> str:
        """Installs the chart, with the probe, and waits until it is ready. An error describes its pods."""
        return self.install_chart(CHART, release, *arguments)

    def install_chart(self, chart: Path, release: str, *arguments: str) -> str:
        """The same for another chart than this checkout's."""
        command = ("install", release, str(chart), *self.cluster.image_values, "--wait", "--timeout", "90s")
        try:
            return self._with_echo(*command, *arguments)
        except AssertionError as error:
            pods, events = self.kubectl("describe", "pods"), self.kubectl("get", "events")
            raise AssertionError(f"{error}\n{pods}\n{events}") from None

    def upgrade(self, release: str, *arguments: str) -> str:
        """Upgrades to this checkout's chart, with the probe, and returns once its pods are ready."""
        command = ("upgrade", release, str(CHART), *self.cluster.image_values, "--wait", "--timeout", "120s")
        return self._with_echo(*command, *arguments)

    def _with_echo(self, *command: str) -> str:
        """Runs helm with the values by which the server has the probe. Later values take precedence."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as values:
            json.dump(serving_echo(), values)
            values.flush()
            return self.helm(*command[:3], "--values", values.name, *command[3:])

    def test(self, release: str) -> None:
        """Runs the chart's own test, which must succeed."""
        assert "Phase:          Succeeded" in self.helm("test", release, "--timeout", "60s")

    def uninstall(self, release: str) -> None:
        """Uninstalls the release, and returns once its pods have drained and everything is deleted."""
        self.helm("uninstall", release, "--wait", "--cascade", "foreground", "--timeout", "3m")

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "--output", "json"))

    def pods(self, release: str) -> list[Any]:
        """The server's pods, without those of jobs and tests."""
        labels = f"app.kubernetes.io/name={NAME},app.kubernetes.io/instance={release}"
        found: list[Any] = self.get("pods", "--selector", labels)["items"]
        return found

    def living(self, release: str) -> list[Any]:
        """The pods that are not being deleted."""
        return [pod for pod in self.pods(release) if "deletionTimestamp" not in pod["metadata"]]

    def pod_names(self, release: str) -> set[str]:
        """The names of the pods that are not being deleted."""
        return {pod["metadata"]["name"] for pod in self.living(release)}

    def restarts(self, release: str) -> dict[str, int]:
        """How often each pod's containers have been restarted."""
        return {
            pod["metadata"]["name"]: sum(one["restartCount"] for one in pod["status"]["containerStatuses"])
            for pod in self.pods(release)
        }

    def gone(self, pods: Iterable[str]) -> None:
        """Returns once these pods are deleted."""
        names = [f"pod/{name}" for name in pods]
        self.kubectl("wait", "--for=delete", *names, "--timeout=360s", seconds=370)

    def token(self, secret: str = f"{RELEASE}-token", key: str = "token") -> str:
        return base64.b64decode(self.get("secret", secret)["data"][key]).decode()

    def objects(self) -> set[str]:
        """All objects except events, metrics, the probe, and what Kubernetes creates in each namespace."""
        kinds = succeed(
            "kubectl",
            "api-resources",
            "--namespaced",
            "--verbs",
            "list",
            "--output",
            "name",
            env=self.cluster.env,
        ).split()
        ours = [
            kind for kind in kinds if not kind.startswith("events") and not kind.endswith(".metrics.k8s.io")
        ]
        found = self.kubectl("get", ",".join(ours), "--output", "name", "--ignore-not-found").split()
        return set(found) - {"serviceaccount/default", "configmap/kube-root-ca.crt", f"configmap/{ECHO}"}


def ready(pod: Any) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def create_echo(namespace: Namespace) -> None:
    """Creates the ConfigMap with the probe's modules."""
    data = {_key(path): file.read_text() for path, file in ECHO_FILES.items()}
    found = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": ECHO}, "data": data}
    namespace.kubectl("apply", "--filename", "-", stdin=json.dumps(found))


def serving_echo() -> dict[str, Any]:
    """Values by which the server has the probe in addition to its own services."""
    items = [{"key": _key(path), "path": path} for path in ECHO_FILES]
    return {
        "extraEnv": [{"name": "PYTHONPATH", "value": f"/{ECHO}"}],
        "extraVolumes": [{"name": ECHO, "configMap": {"name": ECHO, "items": items}}],
        "extraVolumeMounts": [{"name": ECHO, "mountPath": f"/{ECHO}", "readOnly": True}],
    }


def patched(name: str) -> dict[str, Any]:
    """The same, and the server runs the `patch.py` of the ConfigMap of that name when it starts."""
    values = serving_echo()
    values["extraVolumes"].append({"name": name, "configMap": {"name": name}})
    values["extraVolumeMounts"].append({"name": name, "mountPath": f"/{ECHO}-patch", "readOnly": True})
    return values


def local_echo(env: Mapping[str, str]) -> dict[str, str]:
    """An environment in which this machine's command has the probe too."""
    return {**env, "PYTHONPATH": PYTHONPATH}


def _key(path: str) -> str:
    return path.replace("/", ".")


def notes(text: str) -> list[str]:
    """The commands in a chart's notes: their indented lines."""
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]
