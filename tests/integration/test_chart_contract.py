"""The chart's values, its schema and its README say what the settings say."""

import json
import re
import runpy
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from app.core.section import default_of, settings_of
from app.core.value_type import value_types
from app.settings import FRAME
from tests.support.chart import CHART, SECRET
from tests.support.servers.process import ROOT

GENERATE = runpy.run_path(str(ROOT / "helm" / "generate.py"))
VALUES = GENERATE["read"]((CHART / "values.yaml").read_text())
SCHEMA = GENERATE["schema"](VALUES)
DEFAULTS = {
    name: default_of(field) for section in FRAME.values() for name, field in settings_of(section).items()
}
MODEL = {
    name: one.schema | {"default": DEFAULTS[name]}
    for section in FRAME.values()
    for name, one in value_types(section).items()
}

# Where the chart's default is not the server's, and why.
OTHER_DEFAULTS = {
    "APP_AUTH_MODE": "a pod is reached from other machines, so it must be said",
    "APP_STATUS_PAGE": "the server's own depends on where it listens, and a pod listens everywhere",
    "APP_REFLECTION": "the server's own depends on where it listens, and a pod listens everywhere",
    "APP_MAX_CONNECTION_AGE": "clients of a pod must hear of new ones",
    "APP_DRAIN_DELAY": "it is reckoned of what clients need",
    "APP_DRAIN_GRACE": "as long as a call may take, so that no stream is cut",
    "APP_MAX_DEADLINE": "it is reckoned of what the drain allows",
    "APP_LOG_FORMAT": "there is no terminal in a pod",
}


def schemas(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each part of a schema, with where it stands."""
    yield path, schema
    for name, one in schema.get("properties", {}).items():
        yield from schemas(one, f"{path}.{name}".removeprefix("."))
    if "items" in schema:
        yield from schemas(schema["items"], f"{path}[]")


def every(values: Any) -> Iterator[Any]:
    for one in values:
        yield one
        yield from every(one.inner)


# Settings that follow from a value in another way than by its text, such as the paths of mounted files.
DERIVED = {name for one in every(VALUES) for name in one.sets if name.startswith("APP_")}
SET = {one.setting: one for one in GENERATE["leaves"](VALUES) if one.setting}
# That which the chart sets where a Secret is named, and which extraEnv may set otherwise.
BY_SECRET = {"APP_DATABASE_URL_FILE"}


def limits(schema: Any) -> dict[str, Any]:
    kinds = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum")
    for one in [schema, *schema.get("anyOf", [])]:
        if found := {kind: one[kind] for kind in kinds if kind in one}:
            return found
    return {}


# The variables that the server reads: its settings, and those of OpenTelemetry.
SERVERS = re.compile("(APP|OTEL)_")


def environment_of(dockerfile: str) -> set[str]:
    """The variables of ENV, which is followed by pairs `NAME=VALUE` or by one name and its value."""
    lines = (line for line in dockerfile.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    names: set[str] = set()
    for instruction in re.sub(r"\\\s*\n", " ", "\n".join(lines)).splitlines():
        if found := re.match(r"\s*(?:ONBUILD\s+)?ENV\s+(.*)", instruction, re.IGNORECASE):
            words = shlex.split(found[1])
            pairs = words if "=" in words[0] else words[:1]
            names |= {one.partition("=")[0] for one in pairs}
    return names


def test_what_is_generated_from_the_values_is_current() -> None:
    values = (CHART / "values.yaml").read_text()
    assert GENERATE["commented"](values, VALUES) == values, "run `make gen`"
    template = (CHART / "templates" / "_settings.tpl").read_text()
    assert GENERATE["template"](VALUES) == template, "run `make gen`"
    renamed = (CHART / "templates" / "checks" / "_renamed.tpl").read_text()
    variables = (CHART / "templates" / "_variables.tpl").read_text()
    assert GENERATE["variables_template"](VALUES) == variables, "run `make gen`"
    assert GENERATE["renamed_template"](VALUES) == renamed, "run `make gen`"
    assert GENERATE["schema_file"](VALUES) == (CHART / "values.schema.json").read_text(), "run `make gen`"
    readme = (CHART / "README.md").read_text()
    assert GENERATE["readme"](VALUES, readme) == readme, "run `make gen`"


def test_each_setting_is_set_by_one_value_or_is_none_of_theirs() -> None:
    assert len(SET) == sum(bool(one.setting) for one in GENERATE["leaves"](VALUES)), (
        "two values are one setting"
    )
    assert set(SET) | DERIVED | BY_SECRET == set(MODEL) - SECRET
    assert not set(SET) & DERIVED


def test_the_image_sets_where_to_listen_and_no_other_setting() -> None:
    image = {name for name in environment_of((ROOT / "Dockerfile").read_text()) if SERVERS.match(name)}
    assert image == {"APP_LISTEN", "APP_METRICS_LISTEN"}


def test_each_form_of_env_in_a_dockerfile_is_read() -> None:
    text = 'ENV A=1 \\\n# no\n  APP_B="x y=z" \\\n\n\tOTEL_C=d\nenv APP_D e=f\nARG APP_E=1\n'
    text += "ONBUILD ENV APP_G=1\n"
    assert environment_of(text) == {"A", "APP_B", "OTEL_C", "APP_D", "APP_G"}


@pytest.mark.parametrize("setting", SET)
def test_a_value_has_the_limits_of_its_setting(setting: str) -> None:
    ours, servers = limits(GENERATE["_schema"](SET[setting])), limits(MODEL[setting])
    if setting == "APP_MAX_CONNECTION_AGE":  # with 0, clients would do nothing but connect
        assert ours == servers | {"minimum": 1}
    else:
        assert ours == servers


@pytest.mark.parametrize("setting", SET)
def test_a_values_default_is_its_settings(setting: str) -> None:
    ours = SET[setting].default
    texts = {None: "", True: "true", False: "false"}
    written = ",".join(ours) if isinstance(ours, list) else texts.get(ours, str(ours))
    assert (written == DEFAULTS[setting]) is (setting not in OTHER_DEFAULTS)


# Kubernetes leaves these open, or Helm does; the rest of the schema is closed.
OPEN = {
    "global",
    "resources",
    "affinity",
    "networkPolicy.grpcFrom[]",
    "networkPolicy.metricsFrom[]",
    "networkPolicy.extraEgress[]",
    "grpcRoute.parentRefs[]",
    "extraEnv[].valueFrom",
    "extraEnvFrom[]",
    "extraContainers[]",
    "initContainers[]",
    "hostAliases[]",
    "lifecycle",
    "dnsConfig",
    "strategy",
    "podSecurityContext",
    "securityContext",
    "autoscaling.behavior",
    "autoscaling.metrics[]",
    "extraVolumes[]",
    "extraVolumeMounts[]",
    "tolerations[]",
    "topologySpreadConstraints[]",
}


def test_the_schema_is_closed_but_for_what_kubernetes_leaves_open() -> None:
    objects = {path: one for path, one in schemas(SCHEMA) if one.get("type") == "object"}
    assert {path for path, one in objects.items() if one.get("additionalProperties", True) is True} == OPEN
    for path, one in objects.items():
        if isinstance(one.get("additionalProperties"), dict):
            assert one["additionalProperties"]["type"] == "string", path


def test_every_value_has_a_type_and_words_that_end() -> None:
    for path, one in schemas(SCHEMA):
        assert {"type", "enum", "deprecated"} & set(one), path
        if path and "[]" not in path:
            assert one["description"][-1] == ".", path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\n", "a: it has no comment above it"),
        ("# A.\na:\n  b: 1\n", "a.b: it has no comment above it"),
        ("# A.\n\na: 1\n", "a: it has no comment above it"),
        ("# A.\na: null\n", "a: null tells no type"),
        ("# A.\na: []\n", "a: say with @schema {items"),
        ("# A.\na: {}\n", "a: say with @schema {additionalProperties"),
    ],
)
def test_a_value_that_says_too_little_is_refused_by_its_name(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        GENERATE["read"](text)


def test_a_comment_tells_words_rules_and_setting() -> None:
    lines = ["# Some", "# words.", "# @setting APP_WORKERS", "# @schema {minimum: 2}", "a: 2"]
    [value] = GENERATE["read"]("\n".join(lines))
    assert (value.name, value.words, value.setting) == ("a", "Some words.", "APP_WORKERS")
    made = GENERATE["schema"]([value])
    limited = {"type": "integer", "minimum": 2, "maximum": 1000}
    assert made["properties"] == {"a": {"description": "Some words."} | limited}
    assert made["required"] == ["a"]


def test_a_value_has_the_words_type_and_range_of_its_setting() -> None:
    texts = ["# @setting APP_WORKERS", "a: 2", "# @setting APP_MAX_DEADLINE: as it was before", "b: null"]
    values = GENERATE["read"]("\n".join(texts))
    assert GENERATE["schema"](values)["properties"] == {
        "a": {"description": "Threads for unary calls.", "type": "integer", "minimum": 1, "maximum": 1000},
        "b": {
            "description": "The longest duration of a call, streams included.",
            "type": ["number", "null"],
            "exclusiveMinimum": 0,
            "maximum": 86_400,
        },
    }
    assert GENERATE["commented"]("\n".join(texts), values).splitlines() == [
        "# @setting APP_WORKERS: threads for unary calls",
        "a: 2",
        "# @setting APP_MAX_DEADLINE: the longest duration of a call, streams included",
        "b: null",
    ]


def test_a_former_name_is_in_the_schema_and_the_chart_rejects_it_with_the_new_name() -> None:
    text = "# Words.\nx:\n  # Words.\n  # @renamed x.old: 1 in place of `one`\n  new: 2\n"
    values = GENERATE["read"](text)
    made = json.loads(GENERATE["schema_file"](values))["properties"]["x"]
    assert made["properties"]["old"] == {"description": "Renamed to x.new.", "deprecated": True}
    assert made["required"] == ["new"]
    assert '- "x.old was renamed to x.new: 1 in place of `one`"\n' in GENERATE["renamed_template"](values)


def test_a_variable_is_listed_with_the_value_that_decides_it() -> None:
    text = "# Words.\n# @sets B, A\nx: 2\n# @setting APP_WORKERS\ny: 1\n"
    made = GENERATE["variables_template"](GENERATE["read"](text))
    assert "\nA: x\nAPP_WORKERS: y\nB: x\n" in made


def test_a_value_of_no_setting_fails() -> None:
    with pytest.raises(ValueError, match=r"^a: there is no setting APP_WORKER$"):
        GENERATE["read"]("# Words.\n# @setting APP_WORKER\na: 2\n")


def test_the_chart_and_the_program_have_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    [version] = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE)
    assert chart["appVersion"] == version
