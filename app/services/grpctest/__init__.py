"""Grpctest: confirms that the server is up."""

from contextlib import nullcontext

import grpc

from app.core.service import Service
from app.gen import grpctest_pb2, grpctest_pb2_grpc


class Grpctest(grpctest_pb2_grpc.GrpctestServicer):
    def GetServerResponse(
        self, request: grpctest_pb2.Message, context: grpc.ServicerContext
    ) -> grpctest_pb2.MessageResponse:
        text = f'Hello I am up and running received "{request.message}" message from you'
        return grpctest_pb2.MessageResponse(message=text, received=True)


GRPCTEST = Service(
    descriptor=grpctest_pb2.DESCRIPTOR.services_by_name["Grpctest"],
    add_to_server=grpctest_pb2_grpc.add_GrpctestServicer_to_server,
    open=lambda _settings: nullcontext(Grpctest()),
)
