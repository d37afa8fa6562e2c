"""A PostgreSQL in a pod, of Debian's packages."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from app.core.name import NAME
from tests.e2e.cluster import Namespace
from tests.services.quotes.e2e.images import build

FOLDER = Path(__file__).with_name("database")
IMAGE = f"localhost/{NAME}-database:e2e"
HOST, PORT, DATABASE = "database", "5432", "items"
_PSQL = (
    "psql",
    "--host=/data",
    "--username=postgres",
    "--no-psqlrc",
    "--tuples-only",
    "--no-align",
    "--quiet",
)


def build_postgres(namespace: Namespace, load: Callable[[str], None]) -> None:
    """Builds its image, and loads it into the cluster."""
    base = os.environ.get("PYTHON_IMAGE")  # where no registry can be reached
    build(IMAGE, FOLDER, namespace.cluster.env, **({"BASE": base} if base else {}))
    load(IMAGE)


class Postgres:
    """Its pod and its Service. The data outlives the server, and ends with the pod."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        for one in _objects():
            namespace.kubectl("apply", "--filename", "-", stdin=json.dumps(one))
        namespace.kubectl("wait", f"pod/{HOST}", "--for=condition=Ready", "--timeout=60s")
        self.run(f"CREATE DATABASE {DATABASE}", database="postgres")

    def run(self, sql: str, database: str = DATABASE) -> list[str]:
        """Runs statements as the superuser. Returns the lines of the result, columns separated by `|`."""
        command = (*_PSQL, "--set=ON_ERROR_STOP=1", f"--dbname={database}", "--file=-")
        return self._namespace.kubectl("exec", "--stdin", HOST, "--", *command, stdin=sql).splitlines()

    def kill(self) -> None:
        """Kills the server, which stays down until `start`."""
        self._shell("touch /data/down && kill -KILL $(head -1 /data/postgres/postmaster.pid)")

    def start(self) -> None:
        """Returns as soon as it accepts connections."""
        self._shell("rm /data/down && until pg_isready --quiet --host=127.0.0.1; do sleep 0.05; done")

    def _shell(self, script: str) -> None:
        self._namespace.kubectl("exec", HOST, "--", "sh", "-euc", script)


def _objects() -> list[dict[str, object]]:
    labels = {"app": HOST}
    container = {
        "name": "postgres",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "readinessProbe": {"exec": {"command": ["pg_isready", "--host=127.0.0.1"]}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
    port = {"port": int(PORT)}
    # Clients keep its address while it is not ready, as they do that of a server that has crashed.
    service = {"selector": labels, "ports": [port], "publishNotReadyAddresses": True}
    meta = {"name": HOST, "labels": labels}
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": service},
    ]
