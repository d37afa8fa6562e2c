"""Greeter: the smallest service, and a pattern for your own."""

from contextlib import nullcontext

import grpc

from app.core.service import Service
from app.gen import helloworld_pb2, helloworld_pb2_grpc


class Greeter(helloworld_pb2_grpc.GreeterServicer):
    def SayHello(
        self, request: helloworld_pb2.HelloRequest, context: grpc.ServicerContext
    ) -> helloworld_pb2.HelloReply:
        return helloworld_pb2.HelloReply(message=f"Hello, {request.name}")


GREETER = Service(
    descriptor=helloworld_pb2.DESCRIPTOR.services_by_name["Greeter"],
    add_to_server=helloworld_pb2_grpc.add_GreeterServicer_to_server,
    open=lambda _settings: nullcontext(Greeter()),
)
