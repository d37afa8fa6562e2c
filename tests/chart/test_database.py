"""The database in the chart: its Secret, and how the migrations are applied."""

from typing import Any

import pytest

from tests.chart.chart import Objects, pod, rendered, variables, volumes
from tests.chart.examples import README
from tests.chart.test_usual_values import at

URL, CA = "/run/secrets/database", "/run/secrets/database-ca"
PUBLIC = "/etc/ssl/certs/ca-certificates.crt"
HELM_TIMEOUT = 300  # seconds, by default
KEYS = {"host": "h", "user": "username", "password": "password", "dbname": "database"}


def with_database(values: dict[str, Any] | None = None, **database: Any) -> Objects:
    return rendered((values or {}) | {"database": {"existingSecret": "server"} | database})


def job(objects: Objects) -> Any:
    [found] = [one for one in objects.values() if one["kind"] == "Job"]
    return found


def container(spec: Any, kind: str = "containers") -> Any:
    [found] = spec[kind]
    return found


def mounted(spec: Any, kind: str = "containers") -> dict[str, Any]:
    """The volumes of the pod's container by their mount paths."""
    sources = {one["name"]: one for one in spec["volumes"]}
    return {one["mountPath"]: sources[one["name"]] for one in container(spec, kind)["volumeMounts"]}


def test_without_a_secret_the_chart_has_no_part_of_a_database() -> None:
    objects = rendered()
    assert not [name for name in objects if name.startswith("Job/")]
    assert URL not in volumes(objects)
    assert "initContainers" not in pod(objects)["spec"]


def test_the_whole_secret_is_mounted_so_that_a_change_reaches_running_pods() -> None:
    objects = with_database()
    assert volumes(objects)[URL]["secret"] == {"secretName": "server", "defaultMode": 0o440}
    assert variables(objects)["APP_DATABASE_URL_FILE"] == URL
    assert not {"PGSSLMODE", "PGSSLROOTCERT"} & set(variables(objects))


def test_keys_of_the_secret_may_have_other_names() -> None:
    objects = with_database(keys=KEYS)
    for found in (volumes(objects), mounted(job(objects)["spec"]["template"]["spec"])):
        assert {one["path"]: one["key"] for one in found[URL]["secret"]["items"]} == KEYS


@pytest.mark.parametrize(
    ("values", "mode", "root"),
    [
        ({}, None, None),
        ({"sslMode": "require"}, "require", None),
        ({"ca": {"existingSecret": "ca"}}, "verify-full", f"{CA}/ca.crt"),
        ({"ca": {"existingConfigMap": "ca", "key": "a.pem"}}, "verify-full", f"{CA}/a.pem"),
        ({"ca": {"existingSecret": "ca"}, "sslMode": "verify-ca"}, "verify-ca", f"{CA}/ca.crt"),
        ({"ca": {"public": True}}, "verify-full", PUBLIC),
        ({"ca": {"public": True}, "sslMode": "verify-full"}, "verify-full", PUBLIC),
    ],
)
def test_a_ca_makes_libpq_verify_the_certificate(
    values: dict[str, Any], mode: str | None, root: str | None
) -> None:
    objects = with_database(**values)
    migrating = {
        one["name"]: one["value"] for one in container(job(objects)["spec"]["template"]["spec"])["env"]
    }
    for found in (variables(objects), migrating):
        assert (found.get("PGSSLMODE"), found.get("PGSSLROOTCERT")) == (mode, root)
    for found in (volumes(objects), mounted(job(objects)["spec"]["template"]["spec"])):
        assert (CA in found) is (root not in (None, PUBLIC))


def test_the_job_runs_before_every_object_of_the_chart_and_needs_none_of_them() -> None:
    values = {
        "imagePullSecrets": [{"name": "pull"}],
        "tls": {"enabled": True, "existingSecret": "certificate"},
        "extraEnvFrom": [{"configMapRef": {"name": "more"}}],
    }
    found = with_database(values, ca={"existingConfigMap": "ca"}, migrate={"existingSecret": "owner"})
    annotations = job(found)["metadata"]["annotations"]
    assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert annotations["argocd.argoproj.io/hook"] == "PreSync"
    spec = job(found)["spec"]["template"]["spec"]
    assert "serviceAccountName" not in spec
    assert "envFrom" not in container(spec)
    assert not [one for one in container(spec)["env"] if "valueFrom" in one]
    named = {
        one["secret"]["secretName"] if "secret" in one else one["configMap"]["name"]
        for one in spec["volumes"]
    }
    assert named == {"owner", "ca"}
    assert container(spec)["args"] == ["migrate"]
    assert container(spec)["image"] == container(pod(found)["spec"])["image"]


def test_the_job_ends_before_helm_stops_waiting_for_it() -> None:
    deadline = job(with_database())["spec"]["activeDeadlineSeconds"]
    assert deadline < HELM_TIMEOUT
    assert f"`database.migrate.activeDeadlineSeconds`, which is {deadline}" in README


def test_variables_of_libpq_can_be_set_where_the_url_is_a_variable() -> None:
    url = {"name": "APP_DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "uri"}}}
    found = variables(rendered({"extraEnv": [url, {"name": "PGSSLMODE", "value": "require"}]}))
    assert (found["APP_DATABASE_URL"], found["PGSSLMODE"]) == (None, "require")


def test_an_account_that_the_chart_does_not_create_is_the_jobs_too() -> None:
    found = job(with_database({"serviceAccount": {"create": False, "name": "mine"}}))
    assert found["spec"]["template"]["spec"]["serviceAccountName"] == "mine"


def test_a_changed_job_has_another_name_and_an_unchanged_one_the_same() -> None:
    def name(values: dict[str, Any] | None = None, **database: Any) -> str:
        found: str = job(with_database(values, **database))["metadata"]["name"]
        return found

    assert name() == name({"replicaCount": 5, "podAnnotations": {"a": "b"}})
    others = {
        name({"image": {"tag": "2"}}),
        name(migrate={"existingSecret": "owner"}),
        name(migrate={"podLabels": {"a": "b"}}),
        name(connectTimeoutSeconds=9),
        name({"securityContext": {"privileged": False}}),
        name(ca={"existingSecret": "ca"}),
    }
    assert len(others - {name()}) == 6


@pytest.mark.parametrize(
    ("values", "path", "expected"),
    [
        ({"backoffLimit": 0}, ("spec", "backoffLimit"), 0),
        ({"activeDeadlineSeconds": 60}, ("spec", "activeDeadlineSeconds"), 60),
        ({"ttlSecondsAfterFinished": 0}, ("spec", "ttlSecondsAfterFinished"), 0),
        (
            {"annotations": {"helm.sh/hook-weight": "5"}},
            ("metadata", "annotations", "helm.sh/hook-weight"),
            "5",
        ),
        (
            {"annotations": {"helm.sh/hook": "pre-upgrade"}},
            ("metadata", "annotations", "helm.sh/hook"),
            "pre-upgrade",
        ),
        ({"podAnnotations": {"a": "b"}}, ("spec", "template", "metadata", "annotations"), {"a": "b"}),
        ({"podLabels": {"a": "b"}}, ("spec", "template", "metadata", "labels", "a"), "b"),
    ],
)
def test_each_value_of_the_job_is_in_it(values: dict[str, Any], path: tuple[str, ...], expected: Any) -> None:
    assert at(job(with_database(migrate=values)), path) == expected
    assert at(job(with_database()), path) != expected


def test_an_init_container_migrates_before_those_of_the_user_by_a_role_of_its_own() -> None:
    first = {"name": "first", "image": "first:1"}
    objects = with_database(
        {"initContainers": [first]}, migrate={"mode": "init-container", "existingSecret": "owner"}
    )
    assert not [name for name in objects if name.startswith("Job/")]
    spec = pod(objects)["spec"]
    migrate, other = spec["initContainers"]
    assert (migrate["args"], other) == (["migrate"], first)
    alone = spec | {"initContainers": [migrate]}
    assert mounted(alone, "initContainers")[URL]["secret"]["secretName"] == "owner"
    assert mounted(spec)[URL]["secret"]["secretName"] == "server"
    assert [one["name"] for one in spec["volumes"]].count("migrate") == 1


def test_an_init_container_uses_the_servers_secret_if_there_is_no_other() -> None:
    spec = pod(with_database(migrate={"mode": "init-container"}))["spec"]
    assert mounted(spec, "initContainers") == {URL: mounted(spec)[URL]}
