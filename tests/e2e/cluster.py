"""A cluster, and a namespace in it, by way of kubectl and helm."""

import base64
import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "quoter"
RELEASE = "quoter"


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
    """`env` has KUBECONFIG, and on its PATH are kubectl, helm and this checkout's `quoter`."""

    env: Mapping[str, str] = field(repr=False)  # it may hold secrets, and pytest prints what fails
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
        """The same, where kubectl and helm take it without being told, by a file that this makes."""
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
        """Installs the chart and waits until it is ready; where it is not, says what became of its pods."""
        command = ("install", release, str(CHART), *self.cluster.image_values, "--wait", "--timeout", "90s")
        try:
            return self.helm(*command, *arguments)
        except AssertionError as error:
            pods, events = self.kubectl("describe", "pods"), self.kubectl("get", "events")
            raise AssertionError(f"{error}\n{pods}\n{events}") from None

    def upgrade(self, release: str, *arguments: str) -> str:
        """Upgrades to this chart with these values, and returns once the pods of it are ready."""
        command = ("upgrade", release, str(CHART), *self.cluster.image_values, "--wait", "--timeout", "120s")
        return self.helm(*command, *arguments)

    def test(self, release: str) -> None:
        """Runs the chart's own test, which must succeed."""
        assert "Phase:          Succeeded" in self.helm("test", release, "--timeout", "60s")

    def uninstall(self, release: str) -> None:
        """Returns once the pods have drained and everything is gone."""
        self.helm("uninstall", release, "--wait", "--cascade", "foreground", "--timeout", "3m")

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "--output", "json"))

    def pods(self, release: str) -> list[Any]:
        found: list[Any] = self.get("pods", "--selector", f"app.kubernetes.io/instance={release}")["items"]
        return found

    def living(self, release: str) -> list[Any]:
        """The pods that have not been told to end."""
        return [pod for pod in self.pods(release) if "deletionTimestamp" not in pod["metadata"]]

    def pod_names(self, release: str) -> set[str]:
        """Of those that have not been told to end."""
        return {pod["metadata"]["name"] for pod in self.living(release)}

    def restarts(self, release: str) -> dict[str, int]:
        """How often each pod's containers have been restarted."""
        return {
            pod["metadata"]["name"]: sum(one["restartCount"] for one in pod["status"]["containerStatuses"])
            for pod in self.pods(release)
        }

    def gone(self, pods: Iterable[str]) -> None:
        """Returns once there are none of these pods any more."""
        names = [f"pod/{name}" for name in pods]
        self.kubectl("wait", "--for=delete", *names, "--timeout=360s", seconds=370)

    def token(self, secret: str = "quoter-token", key: str = "token") -> str:  # noqa: S107 - names
        return base64.b64decode(self.get("secret", secret)["data"][key]).decode()

    def objects(self) -> set[str]:
        """All objects but events, metrics and what Kubernetes itself puts into each namespace."""
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
        return set(found) - {"serviceaccount/default", "configmap/kube-root-ca.crt"}


def ready(pod: Any) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def teaching(name: str) -> dict[str, Any]:
    """Values by which the server first runs `sitecustomize.py` of the ConfigMap of that name."""
    return {
        "extraEnv": [{"name": "PYTHONPATH", "value": f"/{name}"}],
        "extraVolumes": [{"name": name, "configMap": {"name": name}}],
        "extraVolumeMounts": [{"name": name, "mountPath": f"/{name}", "readOnly": True}],
    }


def notes(text: str) -> list[str]:
    """The commands in a chart's notes: their indented lines."""
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]
