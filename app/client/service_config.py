"""A channel's service config: how it balances, retries, waits, and whom it leaves out.

gRPC reads it as JSON (grpc/service_config/service_config.proto). What cannot be said here does not work in
gRPC for Python: hedging is passed over there, and so is health checking under pick_first.
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
    """What the calls of one method have.

    `timeout`, in seconds, bounds their deadlines: the shorter one counts. Calls that wait for ready do not
    fail while there is no backend, but wait until their deadline, and without one for ever. What a caller
    says of `wait_for_ready` counts more.
    """

    timeout: float | None = None
    wait_for_ready: bool | None = None

    def __post_init__(self) -> None:
        if self.timeout is not None:
            self._seconds("timeout")
        if self.wait_for_ready is not None:
            self._kind("wait_for_ready", bool, "True, False or None")

    def rendered(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.timeout is not None:
            found["timeout"] = duration(self.timeout)
        if self.wait_for_ready is not None:
            found["waitForReady"] = self.wait_for_ready
        return found


@dataclass(frozen=True, kw_only=True)
class ServiceConfig(ValidatedConfig):
    """Raises ValueError or TypeError for what gRPC would pass over, change, or fail every call for.

    `round_robin` gives all addresses of the target their share of the calls, `pick_first` gives all of them
    to one. `retry` and `throttling` are for the methods that are safe to repeat, of the services that the
    channel is given. `methods` are settings of single methods, such as `quotes.Quoter/GetQuote`.

    With `health_service`, each backend is asked about the service of that name, "" being the whole server,
    and gets calls only while it is SERVING: none where it does not know the name.
    """

    balancing: Balancing = "round_robin"
    retry: RetryPolicy | None = field(default_factory=RetryPolicy)
    throttling: RetryThrottling | None = field(default_factory=RetryThrottling)
    methods: Mapping[str, MethodConfig] = field(default_factory=dict)
    health_service: str | None = None
    outlier_detection: OutlierDetection | None = None

    def __post_init__(self) -> None:
        if self.balancing not in get_args(Balancing):
            self._wrong("balancing", " or ".join(get_args(Balancing)))
        self._kind("retry", RetryPolicy | None, "a RetryPolicy or None")
        self._kind("throttling", RetryThrottling | None, "a RetryThrottling or None")
        self._kind("health_service", str | None, "a service's full name, or None")
        self._kind("outlier_detection", OutlierDetection | None, "an OutlierDetection or None")
        self._kind("methods", Mapping, "a mapping of MethodConfig by methods' names")
        given: Mapping[Any, Any] = self.methods
        for name, config in given.items():
            if not isinstance(name, str) or not _METHOD.fullmatch(name):
                raise ValueError(
                    f"ServiceConfig.methods: {name!r} is no method; write package.Service/Method"
                )
            if not isinstance(config, MethodConfig):
                raise ValueError(f"ServiceConfig.methods: {name} needs a MethodConfig; {config!r} is none")  # noqa: TRY004 - one kind of error for values
        object.__setattr__(self, "methods", MappingProxyType(dict(self.methods)))
        if self.balancing == "pick_first":
            for only_round_robin in ("health_service", "outlier_detection"):
                if getattr(self, only_round_robin) is not None:
                    self._wrong(only_round_robin, "None", "gRPC passes over it under pick_first")

    def as_json(self, services: Sequence[ServiceDescriptor] = ()) -> str:
        """The text for gRPC, for a channel to these services.

        Raises ValueError where `methods` names one that its service does not have.
        """
        policy: dict[str, Any] = {self.balancing: {}}
        if self.outlier_detection is not None:
            policy = {
                "outlier_detection_experimental": {
                    **self.outlier_detection.rendered(),
                    "childPolicy": [policy],
                }
            }
        found: dict[str, Any] = {"loadBalancingConfig": [policy]}
        if methods := self._methods(services):
            found["methodConfig"] = methods
        if self.throttling is not None:
            found["retryThrottling"] = self.throttling.rendered()
        if self.health_service is not None:
            found["healthCheckConfig"] = {"serviceName": self.health_service}
        return json.dumps(found)

    def _methods(self, services: Sequence[ServiceDescriptor]) -> list[dict[str, Any]]:
        """An entry a method, with all that holds for it: gRPC takes the one that fits best, and no other."""
        known = {service.full_name: {one.name: one for one in service.methods} for service in services}
        entries: dict[tuple[str, str], dict[str, Any]] = {}
        if self.retry is not None:
            for service, methods in known.items():
                for name, method in methods.items():
                    if safe_to_repeat(method):
                        entries[service, name] = {"retryPolicy": self.retry.rendered()}
        for path, config in self.methods.items():
            service, _, name = path.partition("/")
            if service in known and name not in known[service]:
                raise ValueError(
                    f"ServiceConfig.methods: {service} has no {name}; it has {', '.join(known[service])}"
                )
            entries.setdefault((service, name), {}).update(config.rendered())
        return [
            {"name": [{"service": service, "method": name}], **entry}
            for (service, name), entry in entries.items()
        ]
