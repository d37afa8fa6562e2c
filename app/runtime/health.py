"""grpc.health.v1: readiness by the name "" and each service's, liveness by a name of its own."""

import threading
from collections.abc import Sequence
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

_MESSAGES: Any = health_pb2
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

# SERVING while the process runs and answers, whatever its dependencies do, and during the drain.
LIVENESS = "liveness"


class Health(health.HealthServicer):
    """Readiness is off until `set_ready`. Safe from any thread.

    A service that says that it is not ready is NOT_SERVING, and so is the server as a whole, which is the
    name "".

    Watches are blocking generators, one thread each: grpc's non-blocking ones can deadlock the whole server
    (`send` waits for the polling thread, under the lock that the callback of a closed Watch needs).
    """

    def __init__(self, services: Sequence[str]) -> None:
        super().__init__(experimental_non_blocking=False)
        self._names = ("", *services)
        self._started = False
        self._not_ready: set[tuple[str, str]] = set()
        self._shown: dict[str, bool] = {}
        self._readiness_lock = threading.Lock()
        self._watchers: set[Any] = set()
        self._watchers_lock = threading.Lock()
        self._ended = False
        self.ready = False
        self.draining = False
        self.set(LIVENESS, _SERVING)
        self.set_ready(ready=False)

    def set_ready(self, *, ready: bool) -> None:
        """From the start to the drain. The log then has the services that are not ready."""
        with self._readiness_lock:
            self._started = ready
            self._show()
            not_ready = sorted(self._not_ready) if ready else []
        for service, cause in not_ready:
            _log(service, cause, ready=False)

    def set_service_ready(self, service: str, ready: bool, *, cause: str = "service") -> None:
        """A service is ready while nothing says that it is not. The log has each change after the start.

        `cause` is who says so: the service itself, or something that it needs.
        """
        one = (service, cause)
        with self._readiness_lock:
            if ready is (one not in self._not_ready):
                return
            (self._not_ready.discard if ready else self._not_ready.add)(one)
            self._show()
            started = self._started
        if started:
            _log(service, cause, ready=ready)

    @property
    def not_ready(self) -> list[str]:
        """The services that are not ready."""
        with self._readiness_lock:
            return sorted({service for service, _ in self._not_ready})

    def _show(self) -> None:
        not_ready = {service for service, _ in self._not_ready}
        self.ready = self._started and not not_ready
        for name in self._names:
            serving = self._started and name not in not_ready if name else self.ready
            if self._shown.get(name) is not serving:  # a Watch hears of changes only
                self._shown[name] = serving
                self.set(name, _SERVING if serving else _NOT_SERVING)

    def begin_drain(self) -> None:
        """Readiness is off from now on."""
        self.draining = True
        self.set_ready(ready=False)

    def List(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The health of every name; the types of grpcio-health-checking lack the messages."""
        del request
        names = (LIVENESS, *self._names)
        checked = {name: self.Check(health_pb2.HealthCheckRequest(service=name), context) for name in names}
        return _MESSAGES.HealthListResponse(statuses=checked)

    def Watch(
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.ServicerContext,
        send_response_callback: Any = None,
    ) -> Any:
        if request.service not in {LIVENESS, *self._names}:
            # One name for all unknown ones: grpc's servicer keeps each name that was ever watched.
            request = health_pb2.HealthCheckRequest(service="unknown")
        watcher = super().Watch(request, context, send_response_callback)
        with self._watchers_lock:
            self._watchers.add(watcher)
        if not context.add_callback(lambda: self._forget(watcher)):
            self._forget(watcher)
            watcher.close()
        if self._ended:
            watcher.close()
        return watcher

    def _forget(self, watcher: Any) -> None:
        with self._watchers_lock:
            self._watchers.discard(watcher)

    def end_watches(self) -> None:
        """Ends every Watch with OK, after its last message: an open one would delay the server's stop."""
        with self._watchers_lock:
            self._ended = True
            watchers = list(self._watchers)
        for watcher in watchers:
            watcher.close()

    def add_to_server(self, server: grpc.Server) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(self, server)


def _log(service: str, cause: str, *, ready: bool) -> None:
    if ready:
        structlog.get_logger().info("service_ready", service=service, cause=cause)
    else:
        structlog.get_logger().warning("service_not_ready", service=service, cause=cause)
