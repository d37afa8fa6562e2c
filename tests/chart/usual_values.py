"""Values that users know from other charts: each with where its text stands in the render."""

from typing import Any, NamedTuple

from app.core.name import NAME

DEPLOYMENT = (f"Deployment/{NAME}", "spec")
POD = (*DEPLOYMENT, "template", "spec")
SERVER = (*POD, "containers", 0)
SERVICE = (f"Service/{NAME}", "spec")
SCALER = (f"HorizontalPodAutoscaler/{NAME}", "spec")


class Value(NamedTuple):
    """Values, the path of a part of the render, and that part."""

    values: dict[str, Any]
    path: tuple[str | int, ...]
    expected: Any


_BALANCER = {"type": "LoadBalancer"}
_SIDECAR = {"name": "proxy", "image": "proxy:1"}
_METRIC = {"type": "Pods", "pods": {"metric": {"name": "calls"}, "target": {"type": "Value", "value": "9"}}}
_POLICIES = {"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}}
_ZONE = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
_AFFINITY = {
    "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [_ZONE]}},
    "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []},
}
_CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}}

USUAL = [
    Value({"commonLabels": {"team": "a"}}, (f"Secret/{NAME}-token", "metadata", "labels", "team"), "a"),
    Value({"commonLabels": {"team": "a"}}, (*POD[:3], "metadata", "labels", "team"), "a"),
    Value(
        {"deploymentAnnotations": {"a": "b"}}, (f"Deployment/{NAME}", "metadata", "annotations"), {"a": "b"}
    ),
    Value({"image": {"registry": "r", "repository": "q", "tag": "1"}}, (*SERVER, "image"), "r/q:1"),
    Value({"containerPorts": {"grpc": 8443}}, (*SERVER, "ports", 0, "containerPort"), 8443),
    Value({"containerPorts": {"metrics": 8080}}, (*SERVER, "ports", 1, "containerPort"), 8080),
    Value({"service": {"grpcPort": 443}}, (*SERVICE, "ports", 0, "port"), 443),
    Value({"service": {"metricsPort": 80}}, (*SERVICE, "ports", 1, "port"), 80),
    Value({"service": {"type": "NodePort", "nodePort": 30001}}, (*SERVICE, "ports", 0, "nodePort"), 30001),
    Value({"service": _BALANCER}, (*SERVICE, "type"), "LoadBalancer"),
    Value({"service": _BALANCER | {"loadBalancerClass": "c/d"}}, (*SERVICE, "loadBalancerClass"), "c/d"),
    Value({"service": _BALANCER | {"loadBalancerIP": "10.0.0.9"}}, (*SERVICE, "loadBalancerIP"), "10.0.0.9"),
    Value(
        {"service": _BALANCER | {"loadBalancerSourceRanges": ["10.0.0.0/8"]}},
        (*SERVICE, "loadBalancerSourceRanges"),
        ["10.0.0.0/8"],
    ),
    Value(
        {"service": _BALANCER | {"externalTrafficPolicy": "Local"}},
        (*SERVICE, "externalTrafficPolicy"),
        "Local",
    ),
    *(
        found
        for spec in (SERVICE, (f"Service/{NAME}-headless", "spec"))
        for found in (
            Value(
                {"service": {"ipFamilyPolicy": "PreferDualStack"}},
                (*spec, "ipFamilyPolicy"),
                "PreferDualStack",
            ),
            Value({"service": {"ipFamilies": ["IPv6", "IPv4"]}}, (*spec, "ipFamilies"), ["IPv6", "IPv4"]),
        )
    ),
    Value({"strategy": {"type": "Recreate"}}, (*DEPLOYMENT, "strategy"), {"type": "Recreate"}),
    Value(
        {"strategy": {"rollingUpdate": {"maxSurge": "50%"}}},
        (*DEPLOYMENT, "strategy", "rollingUpdate", "maxSurge"),
        "50%",
    ),
    Value({"revisionHistoryLimit": 0}, (*DEPLOYMENT, "revisionHistoryLimit"), 0),
    Value({"startupProbe": {"failureThreshold": 90}}, (*SERVER, "startupProbe", "failureThreshold"), 90),
    Value({"livenessProbe": {"periodSeconds": 20}}, (*SERVER, "livenessProbe", "periodSeconds"), 20),
    Value({"readinessProbe": {"timeoutSeconds": 3}}, (*SERVER, "readinessProbe", "timeoutSeconds"), 3),
    Value(
        {"extraEnvFrom": [{"configMapRef": {"name": "more"}}]},
        (*SERVER, "envFrom"),
        [{"configMapRef": {"name": "more"}}],
    ),
    Value({"initContainers": [_SIDECAR]}, (*POD, "initContainers"), [_SIDECAR]),
    Value({"extraContainers": [_SIDECAR]}, (*POD, "containers", 1), _SIDECAR),
    Value(
        {"lifecycle": {"preStop": {"sleep": {"seconds": 1}}}},
        (*SERVER, "lifecycle", "preStop", "sleep", "seconds"),
        1,
    ),
    Value({"podSecurityContext": {"runAsUser": 20002}}, (*POD, "securityContext", "runAsUser"), 20002),
    Value({"securityContext": {"privileged": False}}, (*SERVER, "securityContext", "privileged"), False),
    Value({"nodeSelector": {"disk": "ssd"}}, (*POD, "nodeSelector"), {"disk": "ssd"}),
    Value({"tolerations": [{"operator": "Exists"}]}, (*POD, "tolerations"), [{"operator": "Exists"}]),
    Value({"affinity": _AFFINITY}, (*POD, "affinity"), _AFFINITY),
    Value({"priorityClassName": "high"}, (*POD, "priorityClassName"), "high"),
    Value({"runtimeClassName": "gvisor"}, (*POD, "runtimeClassName"), "gvisor"),
    Value({"dnsPolicy": "None"}, (*POD, "dnsPolicy"), "None"),
    Value({"dnsConfig": {"nameservers": ["10.0.0.2"]}}, (*POD, "dnsConfig"), {"nameservers": ["10.0.0.2"]}),
    Value(
        {"hostAliases": [{"ip": "10.0.0.3", "hostnames": ["issuer"]}]},
        (*POD, "hostAliases"),
        [{"ip": "10.0.0.3", "hostnames": ["issuer"]}],
    ),
    Value(
        {"podDisruptionBudget": {"minAvailable": "50%"}},
        (f"PodDisruptionBudget/{NAME}", "spec", "minAvailable"),
        "50%",
    ),
    Value({"autoscaling": {"enabled": True, "metrics": [_METRIC]}}, (*SCALER, "metrics"), [_METRIC]),
    Value(
        {"autoscaling": {"enabled": True, "targetMemoryUtilizationPercentage": 80}},
        (*SCALER, "metrics", 1, "resource"),
        {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 80}},
    ),
    Value(
        {"autoscaling": {"enabled": True, "behavior": _POLICIES}},
        (*SCALER, "behavior"),
        _POLICIES | {"scaleDown": {"stabilizationWindowSeconds": 300}},
    ),
    Value(
        {"serviceMonitor": {"enabled": True, "additionalLabels": {"release": "p"}}},
        (f"ServiceMonitor/{NAME}", "metadata", "labels", "release"),
        "p",
    ),
    Value(
        {"podMonitor": {"enabled": True, "additionalLabels": {"release": "p"}}},
        (f"PodMonitor/{NAME}", "metadata", "labels", "release"),
        "p",
    ),
    Value(
        {
            "ingress": {
                "enabled": True,
                "hosts": [{"host": "a"}, {"host": "b", "paths": [{"path": "/s", "pathType": "Exact"}]}],
            }
        },
        (f"Ingress/{NAME}", "spec", "rules", 1, "http", "paths", 0, "pathType"),
        "Exact",
    ),
    Value(
        {"ingress": {"enabled": True, "tls": [{"secretName": "s", "hosts": ["a"]}]}},
        (f"Ingress/{NAME}", "spec", "tls"),
        [{"secretName": "s", "hosts": ["a"]}],
    ),
    Value(
        {"extraObjects": [_CONFIG | {"data": {"in": "{{ .Release.Namespace }}"}}]},
        ("ConfigMap/mine", "data", "in"),
        "here",
    ),
    Value(
        {"global": {"imageRegistry": "r"}, "image": {"registry": "x", "repository": "q", "tag": "1"}},
        (*SERVER, "image"),
        "r/q:1",
    ),
    Value(
        {"global": {"imagePullSecrets": ["a", {"name": "b"}]}, "imagePullSecrets": [{"name": "b"}]},
        (*POD, "imagePullSecrets"),
        [{"name": "b"}, {"name": "a"}],
    ),
]
