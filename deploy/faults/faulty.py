"""A service whose calls have the faults that are on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor

from app.core.database import Database
from app.core.service import Service, SetReady
from deploy.faults.faults import Faults

Handler = Callable[[Any, grpc.ServicerContext], Any]


def faulty(service: Service[Any], faults: Faults) -> Service[Any]:
    """Returns the service with handlers that are struck by the faults before they begin."""

    @contextmanager
    def open_faulty(settings: Any, database: Database | None = None) -> Iterator[object]:
        with service.opened(settings, database) as servicer:
            yield _Faulty(servicer, service, faults)

    def follow(servicer: _Faulty, set_ready: SetReady) -> None:
        if service.readiness is not None:
            service.readiness(servicer.original, set_ready)

    if service.open is None:
        return replace(service, open_stored=open_faulty, readiness=follow)
    return replace(service, open=open_faulty, readiness=follow)


class _Faulty:
    """The handlers of a servicer, with the faults."""

    def __init__(self, original: object, service: Service[Any], faults: Faults) -> None:
        self.original = original
        for method in service.descriptor.methods:
            setattr(self, method.name, _struck(getattr(original, method.name), method, faults))


def _struck(handler: Handler, method: MethodDescriptor, faults: Faults) -> Handler:
    name = f"{method.containing_service.full_name}/{method.name}"

    @wraps(handler)
    def unary(request: Any, context: grpc.ServicerContext) -> Any:
        faults.strike(name, context)
        return handler(request, context)

    @wraps(handler)
    def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        faults.strike(name, context)
        yield from handler(request, context)

    return stream if method.server_streaming else unary
