"""The chart's list of services: what it includes of them, and that it needs none."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from app.core.name import NAME
from tests.chart.chart import Objects, helm, pod, refusal, rendered, variables, volumes
from tests.support.chart import CHART

PARTS = CHART / "templates" / "services"
LIST = "templates/_services.tpl"
INVENTORY = """
{{- define "NAME.service.inventory.env" }}
- name: APP_INVENTORY_FILE
  value: /etc/inventory/items
{{- end }}
{{- define "NAME.service.inventory.volumes" }}
- name: items
  emptyDir: {}
{{- end }}
{{- define "NAME.service.inventory.volumeMounts" }}
- name: items
  mountPath: /etc/inventory
{{- end }}
{{- define "NAME.service.inventory.check" }}
{{- if .Values.global.wrong }}
- "the inventory is wrong"
{{- end }}
{{- end }}
""".replace("NAME", NAME)


def names() -> list[str]:
    """The services in the chart's list."""
    found = re.search(
        rf'define "{NAME}\.services" -\}}\}}\n(.*?)\{{\{{- end', (CHART / LIST).read_text(), re.DOTALL
    )
    assert found
    return list(yaml.safe_load(found[1]) or {})


def with_services(folder: Path, listed: str) -> Path:
    """A copy of the chart without any service, but with this list."""
    copy = folder / NAME
    shutil.copytree(CHART, copy)
    shutil.rmtree(copy / "templates" / "services", ignore_errors=True)
    values = (CHART / "values.yaml").read_text()
    (copy / "values.yaml").write_text(re.sub(r"(?ms)^# service: .*?^# /service\n", "", values))
    text = re.sub(
        r"(?ms)(services\" -\}\}\n).*?(\{\{- end)", rf"\1{listed}\2", (CHART / LIST).read_text(), count=1
    )
    (copy / LIST).write_text(text)
    (copy / "values.schema.json").unlink()
    return copy


def test_every_service_in_the_list_has_a_folder_and_every_folder_is_in_the_list() -> None:
    assert names() == sorted(folder.name for folder in PARTS.glob("*"))


def test_every_service_defines_the_templates_that_the_list_names_and_uses_no_others_name() -> None:
    for name in names():
        text = "".join(file.read_text() for file in (PARTS / name).iterdir())
        defined = re.findall(r'define "(.*?)"', text)
        assert defined
        assert all(one.startswith(f"{NAME}.service.{name}.") for one in defined)


def test_the_chart_renders_without_any_service(tmp_path: Path) -> None:
    chart = with_services(tmp_path, "")
    objects = rendered(chart=chart)
    assert objects.keys() == rendered().keys()
    assert pod(objects) == pod(rendered())
    assert helm("lint", "--strict", str(chart)).returncode == 0


@pytest.fixture
def inventory(tmp_path: Path) -> Objects:
    """The render of a chart with one service, which defines every template."""
    chart = with_services(tmp_path, "inventory: [env, volumes, volumeMounts, check]\n")
    folder = chart / "templates" / "services" / "inventory"
    folder.mkdir(parents=True)
    (folder / "_inventory.tpl").write_text(INVENTORY)
    error = refusal({"global": {"wrong": True}}, chart)
    assert "conflicting values:\n- the inventory is wrong" in error
    return rendered(chart=chart)


def test_a_service_adds_variables_volumes_mounts_and_checks(inventory: Objects) -> None:
    assert variables(inventory)["APP_INVENTORY_FILE"] == "/etc/inventory/items"
    assert volumes(inventory)["/etc/inventory"]["emptyDir"] == {}
    # The server's own are still there.
    assert f"/run/secrets/{NAME}" in volumes(inventory)
    assert variables(inventory).keys() - {"APP_INVENTORY_FILE"} == variables(rendered()).keys()
