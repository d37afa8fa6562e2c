"""A channel's service config: load balancing, retries, timeouts, health checks and outlier detection.

gRPC reads it as JSON (grpc/service_config/service_config.proto). Options that do not work in gRPC for Python
are left out: it ignores hedging, and health checking under pick_first.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

from google.protobuf.descriptor import ServiceDescriptor

from app.client.outlier_detection import OutlierDetection
from app.client.retries import RetryPolicy, RetryThrottling, safe_to_repeat
from app.client.validated_config import ValidatedConfig, duration

Balancing = Literal["round_robin", "pick_first"]

_METHOD = re.compile(r"[A-Za-z_][\w.]*/[A-Za-z_]\w*")


@dataclass(frozen=True, kw_only=True)
class MethodConfig(ValidatedConfig):
    """Settings of one method.

    `timeout`, in seconds, limits the deadline of its calls: the shorter one applies. With `wait_for_ready`,
    calls do not fail while there is no backend, but wait until their deadline, and without a deadline for
    ever. The caller's own `wait_for_ready` takes precedence.
    """

    timeout: float | None = None
    wait_for_ready: bool | None = None

    def __post_init__(self) -> None:
        if self.timeout is not None:
            self._check_seconds("timeout")
        if self.wait_for_ready is not None:
            self._check_type("wait_for_ready", bool, "True, False or None")

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.timeout is not None:
            found["timeout"] = duration(self.timeout)
        if self.wait_for_ready is not None:
            found["waitForReady"] = self.wait_for_ready
        return found


@dataclass(frozen=True, kw_only=True)
class ServiceConfig(ValidatedConfig):
    """The settings of a channel that gRPC applies itself.

    `round_robin` distributes calls evenly over all addresses of the target, `pick_first` sends all of them
    to one. `retry` and `throttling` apply to the methods that are safe to repeat, of the services given to
    the channel. `methods` has settings by method, such as `acme.inventory.v1.InventoryService/GetItem`.

    With `health_service`, the channel watches the health of that service on each backend ("" is the whole
    server), and sends calls only to backends where it is SERVING: to none that does not know the name.

    Raises ValueError or TypeError for settings that gRPC would ignore, change, or fail every call for.
    """

    balancing: Balancing = "round_robin"
    retry: RetryPolicy | None = field(default_factory=RetryPolicy)
    throttling: RetryThrottling | None = field(default_factory=RetryThrottling)
    methods: Mapping[str, MethodConfig] = field(default_factory=dict)
    health_service: str | None = None
    outlier_detection: OutlierDetection | None = None

    def __post_init__(self) -> None:
        if self.balancing not in get_args(Balancing):
            self._reject("balancing", " or ".join(get_args(Balancing)))
        self._check_type("retry", RetryPolicy | None, "a RetryPolicy or None")
        self._check_type("throttling", RetryThrottling | None, "a RetryThrottling or None")
        self._check_type("health_service", str | None, "a service's full name, or None")
        self._check_type("outlier_detection", OutlierDetection | None, "an OutlierDetection or None")
        self._check_type("methods", Mapping, "a mapping of method names to MethodConfig")
        given: Mapping[Any, Any] = self.methods
        for name, config in given.items():
            if not isinstance(name, str) or not _METHOD.fullmatch(name):
                raise ValueError(
                    f"invalid method {name!r} in ServiceConfig.methods: expected package.Service/Method"
                )
            if not isinstance(config, MethodConfig):
                raise ValueError(
                    f"invalid value {config!r} for {name} in ServiceConfig.methods: expected a MethodConfig"
                )
        object.__setattr__(self, "methods", MappingProxyType(dict(self.methods)))
        if self.balancing == "pick_first":
            for only_round_robin in ("health_service", "outlier_detection"):
                if getattr(self, only_round_robin) is not None:
                    self._reject(only_round_robin, "None", "gRPC ignores it under pick_first")

    def as_json(self, services: Sequence[ServiceDescriptor] = ()) -> str:
        """Returns the service config in JSON, for a channel to these services.

        Raises ValueError if `methods` names a method that its service does not have.
        """
        policy: dict[str, Any] = {self.balancing: {}}
        if self.outlier_detection is not None:
            policy = {
                "outlier_detection_experimental": {
                    **self.outlier_detection.as_dict(),
                    "childPolicy": [policy],
                }
            }
        found: dict[str, Any] = {"loadBalancingConfig": [policy]}
        if methods := self._methods(services):
            found["methodConfig"] = methods
        if self.throttling is not None:
            found["retryThrottling"] = self.throttling.as_dict()
        if self.health_service is not None:
            found["healthCheckConfig"] = {"serviceName": self.health_service}
        return json.dumps(found)

    def _methods(self, services: Sequence[ServiceDescriptor]) -> list[dict[str, Any]]:
        """Returns one entry per method with all of its settings: gRPC uses only the entry that fits best."""
        known = {service.full_name: {one.name: one for one in service.methods} for service in services}
        entries: dict[tuple[str, str], dict[str, Any]] = {}
        if self.retry is not None:
            for service, methods in known.items():
                for name, method in methods.items():
                    if safe_to_repeat(method):
                        entries[service, name] = {"retryPolicy": self.retry.as_dict()}
        for path, config in self.methods.items():
            service, _, name = path.partition("/")
            if service in known and name not in known[service]:
                raise ValueError(
                    f"unknown method {name} of {service} in ServiceConfig.methods:"
                    f" expected one of {', '.join(known[service])}"
                )
            entries.setdefault((service, name), {}).update(config.as_dict())
        return [
            {"name": [{"service": service, "method": name}], **entry}
            for (service, name), entry in entries.items()
        ]
