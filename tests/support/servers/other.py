"""A second service, for servers of several."""

from contextlib import nullcontext
from typing import Any

import grpc

from app.core.service import Service
from tests.gen import other_pb2_grpc
from tests.gen.other_pb2 import DESCRIPTOR, EchoRequest, EchoResponse


class Other(other_pb2_grpc.OtherServicer):
    def Echo(self, request: EchoRequest, context: grpc.ServicerContext) -> EchoResponse:
        del context
        return EchoResponse(text=request.text)


OTHER: Service[Any] = Service(
    descriptor=DESCRIPTOR.services_by_name["Other"],
    add_to_server=other_pb2_grpc.add_OtherServicer_to_server,
    open=lambda _settings: nullcontext(Other()),
)
