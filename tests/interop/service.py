"""The server's side of gRPC's interop test cases.

https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md, "Server".
"""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import grpc

from app.core.call import current_call
from app.core.service import Service

# What comes under these keys goes back: as initial metadata, and as trailing metadata.
INITIAL = "x-grpc-test-echo-initial"
TRAILING = "x-grpc-test-echo-trailing-bin"

CODES = {code.value[0]: code for code in grpc.StatusCode}


def interop_service() -> Service[Any]:
    # Generated as it is imported: app/gen is for what the program serves.
    pb: Any
    pb_grpc: Any
    pb, pb_grpc = grpc.protos_and_services("tests/interop/interop.proto")

    class Interop(pb_grpc.TestServiceServicer):  # type: ignore[misc]  # the base is made at run time
        def EmptyCall(self, _request: Any, _context: Any) -> Any:
            return pb.Empty()

        def UnaryCall(self, request: Any, context: Any) -> Any:
            echo_metadata(context)
            echo_status(request, context)
            return pb.SimpleResponse(payload=pb.Payload(body=bytes(request.response_size)))

        def StreamingInputCall(self, requests: Iterator[Any], _context: Any) -> Any:
            size = sum(len(request.payload.body) for request in requests)
            return pb.StreamingInputCallResponse(aggregated_payload_size=size)

        def StreamingOutputCall(self, request: Any, _context: Any) -> Iterator[Any]:
            for wanted in request.response_parameters:
                current_call().wait(wanted.interval_us / 1e6)
                yield pb.StreamingOutputCallResponse(payload=pb.Payload(body=bytes(wanted.size)))

        def FullDuplexCall(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:
            echo_metadata(context)
            for request in requests:
                echo_status(request, context)
                yield from self.StreamingOutputCall(request, context)

    return Service(
        descriptor=pb.DESCRIPTOR.services_by_name["TestService"],
        add_to_server=pb_grpc.add_TestServiceServicer_to_server,
        open=lambda _settings: nullcontext(Interop()),
    )


def echo_metadata(context: grpc.ServicerContext) -> None:
    given = context.invocation_metadata()
    if initial := tuple((key, value) for key, value in given if key == INITIAL):
        context.send_initial_metadata(initial)
    context.set_trailing_metadata(tuple((key, value) for key, value in given if key == TRAILING))


def echo_status(request: Any, context: grpc.ServicerContext) -> None:
    if request.response_status.code:
        context.abort(CODES[request.response_status.code], request.response_status.message)
