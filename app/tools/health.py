"""The command `health`."""

from typing import Annotated, Any

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from app.core.service import Command
from app.tools.channel_command import code_of
from app.tools.exit import FAILED, exit_code, fail
from app.tools.methods import Methods


def health_command(methods: Methods) -> Command:
    def health(
        channel: grpc.Channel,
        service: Annotated[
            str,
            typer.Argument(
                help='A service\'s full name, or "liveness"; readiness if omitted.',
                show_default=False,
                autocompletion=methods.complete_service,
            ),
        ] = "",
    ) -> None:
        """Print SERVING, and exit with 0, or NOT_SERVING, and exit with 1."""
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            reply = stub.Check(health_pb2.HealthCheckRequest(service=service))
        except grpc.RpcError as error:
            if code_of(error) is not grpc.StatusCode.NOT_FOUND:
                raise
            fail(f"the server does not know the service {service!r}", code=exit_code(code_of(error)))
        print(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))
        if reply.status != health_pb2.HealthCheckResponse.SERVING:
            raise typer.Exit(FAILED)

    return health
