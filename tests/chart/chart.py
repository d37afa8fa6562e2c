"""Renders of the chart by helm, without a cluster."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.core.name import NAME
from tests.support.chart import CHART
from tests.support.servers.process import environment

KUBERNETES = "1.34.0"
# `make chart` builds helm into the environment. Otherwise the test cluster's helm is used.
TOOLS = os.environ.get("CLUSTER_BIN") or str(Path.home() / ".cache" / "test-cluster" / "bin")

Objects = dict[str, Any]


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that a map has twice, as strict readers of the render do."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"twice in one map: {twice}{node.start_mark}"
        return super().construct_mapping(node, deep)


def helm(*arguments: str, values: Mapping[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    env = environment()
    env["PATH"] = os.pathsep.join([env["PATH"], TOOLS])
    if shutil.which("helm", path=env["PATH"]) is None:
        pytest.skip("helm is required: make chart builds it")
    return subprocess.run(
        ["helm", *arguments, "--values", "-"],
        env=env,
        input=json.dumps(values or {}),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def _template(
    values: Mapping[str, Any] | None, release: str, kubernetes: str, chart: Path = CHART
) -> subprocess.CompletedProcess[str]:
    where = ("--namespace", "here", "--kube-version", kubernetes)
    return helm("template", release, str(chart), *where, values=values)


def text(
    values: Mapping[str, Any] | None = None,
    release: str = NAME,
    kubernetes: str = KUBERNETES,
    chart: Path = CHART,
) -> str:
    """The whole render."""
    done = _template(values, release, kubernetes, chart)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rendered(
    values: Mapping[str, Any] | None = None,
    release: str = NAME,
    kubernetes: str = KUBERNETES,
    chart: Path = CHART,
) -> Objects:
    """The objects by their kind and name, such as `Service/NAME`."""
    found = [one for one in yaml.load_all(text(values, release, kubernetes, chart), _UniqueKeys) if one]
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in found}


def notes(values: Mapping[str, Any], folder: Path) -> str:
    """The notes after an install, by a copy of the chart that has a ConfigMap with them."""
    copy = folder / NAME
    shutil.copytree(CHART, copy)
    templates = copy / "templates"
    written = (templates / "NOTES.txt").read_text()
    (templates / "_notes.tpl").write_text(f'{{{{- define "notes" -}}}}{written}{{{{- end -}}}}')
    (templates / "notes.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: notes\n"
        'data:\n  notes: {{ include "notes" . | quote }}\n'
    )
    done = _template(values, NAME, KUBERNETES, copy)
    assert done.returncode == 0, done.stderr
    [found] = [one for one in yaml.safe_load_all(done.stdout) if one and one["metadata"]["name"] == "notes"]
    printed: str = found["data"]["notes"]
    return printed


def refusal(values: Mapping[str, Any], chart: Path = CHART) -> str:
    """The error of helm for values that it rejects."""
    done = _template(values, NAME, KUBERNETES, chart)
    assert done.returncode != 0, "helm accepts these values"
    return done.stderr


def pod(objects: Objects, name: str = NAME) -> Any:
    """The pod's template in the Deployment."""
    return objects[f"Deployment/{name}"]["spec"]["template"]


def variables(objects: Objects) -> dict[str, str | None]:
    """The server's variables; None for those without a literal value."""
    [container] = pod(objects)["spec"]["containers"]
    return {one["name"]: one.get("value") for one in container["env"]}


def volumes(objects: Objects) -> dict[str, Any]:
    """The server's volumes by their mount paths, each with its mount."""
    spec = pod(objects)["spec"]
    volumes = {one["name"]: one for one in spec.get("volumes", [])}
    mounts = spec["containers"][0].get("volumeMounts", [])
    return {one["mountPath"]: volumes[one["name"]] | {"mount": one} for one in mounts}
