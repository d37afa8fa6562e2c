"""The objects that the chart renders."""

import base64
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from app.core.name import NAME
from tests.chart.chart import Objects, helm, pod, rendered, text, variables, volumes
from tests.chart.combinations import COMBINATIONS, IMPOSSIBLE, ROWS, SCHEMA, pairs, switches
from tests.support.chart import CHART, fullname

if TYPE_CHECKING:
    from collections.abc import Callable

TLS: dict[str, Any] = {"tls": {"enabled": True, "existingSecret": "certificate"}}
MUTUAL: dict[str, Any] = {"tls": TLS["tls"] | {"clientCa": {"enabled": True}}}
JWT: dict[str, Any] = {"issuer": "https://issuer.example/", "audience": "api"}
PLAINTEXT = JWT | {"jwksAllowHttp": True}


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def pods_labels(objects: Objects, kind: str = f"Deployment/{NAME}") -> dict[str, str]:
    one = objects[kind]
    found: dict[str, str] = (one if kind.startswith("Pod/") else one["spec"]["template"])["metadata"][
        "labels"
    ]
    return found


def migrating(objects: Objects) -> list[Any]:
    """The specification of the pod that migrates, if there is a Job for it."""
    return [one["spec"]["template"]["spec"] for one in objects.values() if one["kind"] == "Job"]


def test_the_names_of_objects_and_ports_are_stable() -> None:
    objects = rendered()
    assert set(objects) == {
        f"ServiceAccount/{NAME}",
        f"Secret/{NAME}-token",
        f"Service/{NAME}",
        f"Service/{NAME}-headless",
        f"Deployment/{NAME}",
        f"PodDisruptionBudget/{NAME}",
        f"Pod/{NAME}-test",
    }
    for name in (NAME, f"{NAME}-headless"):
        ports = objects[f"Service/{name}"]["spec"]["ports"]
        assert [(port["name"], port["port"], port["appProtocol"]) for port in ports] == [
            ("grpc", 50051, "grpc"),
            ("metrics", 9464, "http"),
        ]
    data = {
        key: base64.b64decode(value).decode()
        for key, value in objects[f"Secret/{NAME}-token"]["data"].items()
    }
    assert data["tokens"] == f"default:{data['token']}\n"
    assert len(data["token"]) == 40


def test_every_pair_of_switches_is_in_a_combination() -> None:
    factors = dict(switches(SCHEMA))
    assert len(factors) > 15
    assert len(ROWS) < 30
    seen = {pair for row in ROWS for one in row.items() for pair in pairs(row, one) if len(pair) == 2}
    possible = {
        frozenset({(one, a), (other, b)})
        for one, other in itertools.combinations(factors, 2)
        for a, b in itertools.product(factors[one], factors[other])
    }
    assert possible - seen == IMPOSSIBLE


@pytest.mark.parametrize("values", COMBINATIONS, ids=range(len(COMBINATIONS)))
def test_helm_lint_finds_nothing_in_any_combination(values: dict[str, Any]) -> None:
    done = helm("lint", "--strict", str(CHART), values=values)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", COMBINATIONS, ids=range(len(COMBINATIONS)))
def test_every_pod_meets_the_restricted_level(values: dict[str, Any]) -> None:
    objects = rendered(values)
    for spec in (pod(objects)["spec"], objects[f"Pod/{NAME}-test"]["spec"], *migrating(objects)):
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        assert all(set(one) & {"secret", "configMap", "projected"} for one in spec.get("volumes", []))
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "cpu" in container["resources"]["requests"]


@pytest.mark.parametrize("values", COMBINATIONS, ids=range(len(COMBINATIONS)))
def test_every_selector_matches_the_servers_pods_and_no_others(values: dict[str, Any]) -> None:
    objects = rendered(values)
    jobs = [name for name in objects if name.startswith("Job/")]
    chosen: dict[str, Callable[[Any], dict[str, str]]] = {
        f"Service/{NAME}": lambda one: one["spec"]["selector"],
        f"Service/{NAME}-headless": lambda one: one["spec"]["selector"],
        f"Deployment/{NAME}": lambda one: one["spec"]["selector"]["matchLabels"],
        f"PodDisruptionBudget/{NAME}": lambda one: one["spec"]["selector"]["matchLabels"],
        f"NetworkPolicy/{NAME}": lambda one: one["spec"]["podSelector"]["matchLabels"],
        f"PodMonitor/{NAME}": lambda one: one["spec"]["selector"]["matchLabels"],
    }
    for name, selector in chosen.items():
        if name in objects:
            assert selects(selector(objects[name]), pods_labels(objects)), name
            for other in (f"Pod/{NAME}-test", *jobs):
                assert not selects(selector(objects[name]), pods_labels(objects, other)), name


def test_two_releases_do_not_select_each_others_pods() -> None:
    one, other = rendered(release="one"), rendered(release="other")
    selector = one[f"Service/{fullname('one')}"]["spec"]["selector"]
    assert not selects(
        selector, other[f"Deployment/{fullname('other')}"]["spec"]["template"]["metadata"]["labels"]
    )
    assert not set(one) & set(other)


@pytest.mark.parametrize("release", ["a" * 53, NAME, "q"])
@pytest.mark.parametrize("override", ["", "b" * 63])
def test_names_are_short_enough_for_kubernetes(release: str, override: str) -> None:
    everything = TLS | {"nameOverride": override, "database": {"existingSecret": "database"}}
    objects = rendered(everything, release=release)
    assert [name for name in objects if name.startswith("Job/")]
    for name, one in objects.items():
        assert len(one["metadata"]["name"]) <= 63, name
        assert all(len(label) <= 63 for label in one["metadata"]["labels"].values()), name
    objects = rendered({"fullnameOverride": "mine"})
    assert {"Service/mine", "Service/mine-headless", "Secret/mine-token"} <= set(objects)


def test_probes_use_grpc_in_plaintext_and_http_with_tls() -> None:
    def probes(values: dict[str, Any]) -> list[Any]:
        [container] = pod(rendered(values))["spec"]["containers"]
        probes = [container[f"{name}Probe"] for name in ("startup", "liveness", "readiness")]
        return [one.get("grpc") or one["httpGet"] for one in probes]

    alive, ready = ({"port": 50051, "service": name} for name in ("liveness", ""))
    assert probes({}) == [alive, alive, ready]
    healthz, readyz = ({"port": "metrics", "path": path} for path in ("/healthz", "/readyz"))
    assert probes(TLS) == [healthz, healthz, readyz]


@pytest.mark.parametrize(
    ("values", "delay", "grace", "deadline"),
    [
        ({}, 45, 300, 300),
        ({"drain": {"clientLookupSeconds": 1}}, 16, 300, 300),
        ({"drain": {"graceSeconds": 20}}, 45, 20, 24),
        ({"drain": {"clientLookupSeconds": 1, "graceSeconds": 20}}, 16, 20, 24),
        ({"maxConnectionAgeSeconds": 100}, 144, 300, 300),
        ({"drain": {"delaySeconds": 60, "graceSeconds": 400}}, 60, 400, 300),
        ({"drain": {"graceSeconds": 4000}, "server": {"maxDeadlineSeconds": 3600}}, 45, 4000, 3600),
        ({"drain": {"delaySeconds": 0, "graceSeconds": 0}}, 0, 0, 300),
    ],
)
def test_the_drain_and_the_greatest_deadline_are_computed_together(
    values: dict[str, Any], delay: int, grace: int, deadline: int
) -> None:
    objects = rendered(values)
    found = variables(objects)
    names = ("APP_DRAIN_DELAY", "APP_DRAIN_GRACE", "APP_MAX_DEADLINE")
    assert [found[name] for name in names] == [str(delay), str(grace), str(deadline)]
    assert pod(objects)["spec"]["terminationGracePeriodSeconds"] == delay + grace + 10


@pytest.mark.parametrize("values", COMBINATIONS, ids=range(len(COMBINATIONS)))
def test_whole_directories_are_mounted_so_that_changes_reach_running_pods(values: dict[str, Any]) -> None:
    for path, one in volumes(rendered(values)).items():
        assert "subPath" not in one["mount"], path
        assert one["mount"]["readOnly"] is True


def test_an_existing_secret_replaces_the_charts_secret() -> None:
    objects = rendered({"auth": {"existingSecret": "mine"}})
    assert volumes(objects)[f"/run/secrets/{NAME}"]["secret"]["secretName"] == "mine"
    assert not any(name.startswith("Secret/") for name in objects)
    assert text({"auth": {"existingSecret": "mine"}}) == text({"auth": {"existingSecret": "mine"}})
    assert "auth.existingSecret" in text().partition("kind: Secret")[0], (
        "the render has no warning about its token"
    )


def test_the_issuers_keys_come_from_a_secret_a_configmap_or_a_url() -> None:
    def jwt(**source: Any) -> Objects:
        return rendered({"auth": {"mode": "jwt", "jwt": JWT | source}})

    url = jwt(jwksUrl="https://issuer.example/keys")
    assert variables(url)["APP_JWT_JWKS_URL"] == "https://issuer.example/keys"
    assert volumes(url) == {}
    for kind, name in (("existingSecret", "secretName"), ("existingConfigMap", "name")):
        objects = jwt(keys={kind: "keys", "key": "keys.pem"})
        volume = volumes(objects)["/run/secrets/jwt"]
        assert volume["secret" if name == "secretName" else "configMap"][name] == "keys"
        assert variables(objects)["APP_JWT_KEYS_FILE"] == "/run/secrets/jwt/keys.pem"
        assert "APP_JWT_JWKS_URL" not in variables(objects)
    assert not {"APP_AUTH_TOKENS_FILE", "APP_JWT_ISSUER"} <= set(variables(url))
    assert not [name for name in variables(rendered()) if name.startswith("APP_JWT_")]


def test_client_certificates_are_verified_with_the_cas_of_a_secret() -> None:
    own = rendered(MUTUAL)
    assert variables(own)["APP_TLS_CLIENT_CA_FILE"] == "/run/secrets/tls/ca.crt"
    values = {"tls": TLS["tls"] | {"clientCa": {"enabled": True, "existingSecret": "clients"}}}
    other = rendered(values)
    assert variables(other)["APP_TLS_CLIENT_CA_FILE"] == "/run/secrets/client-ca/ca.crt"
    assert volumes(other)["/run/secrets/client-ca"]["secret"]["items"] == [
        {"key": "ca.crt", "path": "ca.crt"}
    ]
    assert "APP_TLS_CLIENT_CA_FILE" not in variables(rendered(TLS))


def test_the_certificate_has_the_names_of_both_services_and_its_secret_is_mounted() -> None:
    issuer = {"enabled": True, "issuer": {"name": "ca"}, "dnsNames": ["server.example"]}
    objects = rendered({"tls": {"enabled": True, "certManager": issuer}})
    certificate = objects[f"Certificate/{NAME}"]["spec"]
    assert (
        certificate["secretName"]
        == volumes(objects)["/run/secrets/tls"]["secret"]["secretName"]
        == f"{NAME}-tls"
    )
    assert certificate["issuerRef"] == {"name": "ca", "kind": "Issuer", "group": "cert-manager.io"}
    names = {NAME, f"{NAME}-headless.here.svc.cluster.local", f"{NAME}-headless", f"{NAME}.here.svc"}
    assert names | {"server.example"} <= set(certificate["dnsNames"])


def test_every_pod_is_scraped_once() -> None:
    def annotated(objects: Objects) -> bool:
        return "prometheus.io/scrape" in pod(objects)["metadata"].get("annotations", {})

    assert annotated(rendered())
    by_service = rendered(
        {"serviceMonitor": {"enabled": True, "additionalLabels": {"release": "p"}, "interval": "15s"}}
    )
    monitor = by_service[f"ServiceMonitor/{NAME}"]
    selector = monitor["spec"]["selector"]["matchLabels"]
    found = [
        name
        for name, one in by_service.items()
        if name.startswith("Service/") and selects(selector, one["metadata"]["labels"])
    ]
    assert found == [f"Service/{NAME}"]
    assert monitor["metadata"]["labels"]["release"] == "p"
    named = [{"targetLabel": "job", "replacement": NAME}]
    endpoint = {"port": "metrics", "path": "/metrics", "relabelings": named}
    assert monitor["spec"]["endpoints"] == [endpoint | {"interval": "15s"}]
    by_pod = rendered({"podMonitor": {"enabled": True}})
    assert by_pod[f"PodMonitor/{NAME}"]["spec"]["podMetricsEndpoints"] == [endpoint]
    assert not annotated(by_service)
    assert not annotated(by_pod)
    custom = pod(rendered({"podAnnotations": {"prometheus.io/scrape": "false"}}))
    assert custom["metadata"]["annotations"]["prometheus.io/scrape"] == "false"


def test_with_autoscaling_the_deployment_has_no_replicas() -> None:
    objects = rendered(
        {"autoscaling": {"enabled": True, "minReplicas": 3, "scaleDownStabilizationSeconds": 30}}
    )
    deployment = objects[f"Deployment/{NAME}"]
    assert "replicas" not in deployment["spec"]
    assert deployment["metadata"]["annotations"] == {f"{NAME}/replicas": "autoscaler"}  # for later upgrades
    scaler = objects[f"HorizontalPodAutoscaler/{NAME}"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 10)
    assert scaler["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 30

    fixed = rendered({"replicaCount": 0})[f"Deployment/{NAME}"]
    assert fixed["spec"]["replicas"] == 0
    assert "annotations" not in fixed["metadata"]


def test_the_errors_of_a_server_that_does_not_start_are_kept_with_its_pod() -> None:
    [container] = pod(rendered())["spec"]["containers"]
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


@pytest.mark.parametrize(
    ("values", "ports"),
    [
        ({}, [53, 53]),
        ({"otel": {"endpoint": "http://collector.here:4317"}}, [53, 53, 4317]),
        ({"database": {"existingSecret": "database"}}, [53, 53, 5432]),
        ({"otel": {"endpoint": "http://collector.here"}}, [53, 53, 443]),
        ({"auth": {"mode": "jwt", "jwt": JWT | {"jwksUrl": "https://issuer.example/keys"}}}, [53, 53, 443]),
        ({"auth": {"mode": "jwt", "jwt": PLAINTEXT | {"jwksUrl": "http://issuer.here/keys"}}}, [53, 53, 80]),
        (
            {"auth": {"mode": "jwt", "jwt": PLAINTEXT | {"jwksUrl": "http://issuer.here:8080/k"}}},
            [53, 53, 8080],
        ),
    ],
)
def test_the_network_policy_allows_the_connections_of_the_server(
    values: dict[str, Any], ports: list[int]
) -> None:
    policy = rendered(values | {"networkPolicy": {"enabled": True}})[f"NetworkPolicy/{NAME}"]["spec"]
    assert [port["port"] for rule in policy["egress"] for port in rule["ports"]] == ports
    assert policy["ingress"] == [
        {"ports": [{"port": name, "protocol": "TCP"}]} for name in ("grpc", "metrics")
    ]


def test_sources_of_calls_can_be_restricted_and_include_helm_test() -> None:
    from_here = {"podSelector": {"matchLabels": {"role": "caller"}}}
    objects = rendered({"networkPolicy": {"enabled": True, "grpcFrom": [from_here]}})
    [first, test] = objects[f"NetworkPolicy/{NAME}"]["spec"]["ingress"][0]["from"]
    assert first == from_here
    assert selects(test["podSelector"]["matchLabels"], pods_labels(objects, f"Pod/{NAME}-test"))


def test_spans_have_the_pods_name_namespace_and_node() -> None:
    found = variables(rendered({"otel": {"resourceAttributes": {"deployment.environment.name": "test"}}}))
    given = dict(one.split("=") for one in str(found["OTEL_RESOURCE_ATTRIBUTES"]).split(","))
    assert given == {
        "service.instance.id": "$(POD_NAME)",
        "k8s.pod.name": "$(POD_NAME)",
        "k8s.namespace.name": "$(POD_NAMESPACE)",
        "k8s.node.name": "$(NODE_NAME)",
        "deployment.environment.name": "test",
    }
    names = list(found)
    for name in (
        "POD_NAME",
        "POD_NAMESPACE",
        "NODE_NAME",
    ):  # Kubernetes expands only variables defined earlier
        assert names.index(name) < names.index("OTEL_RESOURCE_ATTRIBUTES")


def test_the_usual_values_of_charts_are_passed_on() -> None:
    constraint = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    objects = rendered(
        {
            "image": {"repository": "r/q", "digest": f"sha256:{'0' * 64}"},
            "imagePullSecrets": [{"name": "pull"}],
            "extraEnv": [{"name": "OTEL_TRACES_SAMPLER", "value": "always_on"}],
            "extraVolumes": [{"name": "scratch", "emptyDir": {}}],
            "extraVolumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],  # noqa: S108 - in the pod
            "podAnnotations": {"a": "b"},
            "podLabels": {"team": "x", "app.kubernetes.io/name": "no"},
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "topologySpreadConstraints": [constraint],
            "priorityClassName": "high",
            "serviceAccount": {"name": "me", "annotations": {"role": "r"}},
            "service": {"annotations": {"s": "t"}},
        }
    )
    template = pod(objects)
    spec = template["spec"]
    assert spec["containers"][0]["image"] == f"r/q@sha256:{'0' * 64}"
    assert spec["imagePullSecrets"] == [{"name": "pull"}]
    assert variables(objects)["OTEL_TRACES_SAMPLER"] == "always_on"
    assert volumes(objects)["/tmp"]["emptyDir"] == {}  # noqa: S108 - as above
    assert template["metadata"]["annotations"]["a"] == "b"
    assert template["metadata"]["labels"]["team"] == "x"
    assert template["metadata"]["labels"]["app.kubernetes.io/name"] == NAME
    assert spec["nodeSelector"] == {"disk": "ssd"}
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert spec["affinity"] == {"nodeAffinity": {}}
    assert spec["topologySpreadConstraints"] == [constraint]
    assert spec["priorityClassName"] == "high"
    assert spec["serviceAccountName"] == "me"
    assert objects["ServiceAccount/me"]["metadata"]["annotations"] == {"role": "r"}
    for name in (NAME, f"{NAME}-headless"):
        assert objects[f"Service/{name}"]["metadata"]["annotations"] == {"s": "t"}
    assert rendered({"serviceAccount": {"create": False}}).keys() == rendered().keys() - {
        f"ServiceAccount/{NAME}"
    }


def test_pods_are_spread_over_nodes_and_replaced_before_they_end() -> None:
    objects = rendered()
    [constraint] = pod(objects)["spec"]["topologySpreadConstraints"]
    assert constraint["topologyKey"] == "kubernetes.io/hostname"
    assert selects(constraint["labelSelector"]["matchLabels"], pods_labels(objects))
    assert objects[f"Deployment/{NAME}"]["spec"]["strategy"]["rollingUpdate"] == {
        "maxUnavailable": 0,
        "maxSurge": 1,
    }


def test_the_route_and_the_ingress_lead_to_the_service() -> None:
    route = {"enabled": True, "parentRefs": [{"name": "gateway"}], "hostnames": ["server.example"]}
    ingress = {
        "enabled": True,
        "className": "nginx",
        "hosts": [{"host": "server.example"}],
        "tls": [{"secretName": "certificate", "hosts": ["server.example"]}],
    }
    objects = rendered({"grpcRoute": route, "ingress": ingress})
    spec = objects[f"GRPCRoute/{NAME}"]["spec"]
    assert spec["rules"] == [{"backendRefs": [{"name": NAME, "port": 50051}]}]
    assert (spec["parentRefs"], spec["hostnames"]) == ([{"name": "gateway"}], ["server.example"])
    spec = objects[f"Ingress/{NAME}"]["spec"]
    assert spec["rules"][0]["http"]["paths"][0]["backend"] == {
        "service": {"name": NAME, "port": {"name": "grpc"}}
    }
    assert spec["tls"] == [{"secretName": "certificate", "hosts": ["server.example"]}]


def script(values: dict[str, Any]) -> str:
    [container] = rendered(values)[f"Pod/{NAME}-test"]["spec"]["containers"]
    found: str = container["args"][0]
    return found


def test_the_script_of_helm_test_follows_from_the_values() -> None:
    option = f"--token-file /run/secrets/{NAME}/token"
    assert f'{NAME} doctor "$server" "$@" {option} --allow-plaintext-token\n' in script({})
    assert f'{NAME} doctor "$server" "$@" {option}\n' in script(TLS)
    assert "--ca /run/secrets/tls/ca.crt" in script(TLS)
    assert "test $? = 71" in script({"auth": {"require": "acme.inventory.v1.InventoryService name:bob"}})
    assert script({"auth": {"mode": "none"}}).endswith(f'{NAME} doctor "$server" "$@"\n')
    keys = {"mode": "jwt", "jwt": JWT | {"keys": {"existingSecret": "keys"}}}
    assert option not in script({"auth": keys})
    assert "test $? = 80" in script({"auth": keys})
    assert "exit 0" in script(MUTUAL).partition(f"{NAME} health")[0]
    secrets = rendered(TLS)[f"Pod/{NAME}-test"]["spec"]["volumes"]
    assert "tls.key" not in str(secrets)
