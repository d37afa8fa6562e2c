"""`quoter load`."""

from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from app.tools.descriptors import full_name
from app.tools.json_requests import parse_json
from app.tools.load.calls import calls_of
from app.tools.load.drive import Drive
from app.tools.load.duration import parse_duration
from app.tools.load.run import run
from app.tools.methods import complete_method, find_method, harmless_method

FAILED = 1  # the exit code


def load(  # noqa: PLR0913 - one for each option
    channel: grpc.Channel,
    method: Annotated[
        str,
        typer.Argument(
            help="Such as quotes.Quoter/GetQuote; the first that has no side effects when left out.",
            show_default=False,
            autocompletion=complete_method,
        ),
    ] = "",
    request: Annotated[
        str,
        typer.Argument(
            metavar="JSON", help="Each call's request; an array where it is a stream.", show_default=False
        ),
    ] = "{}",
    *,
    rps: Annotated[float, typer.Option(min=0.01, max=1_000_000, help="Calls to make a second.")] = 100,
    duration: Annotated[str, typer.Option("--for", help="How long, such as 30s or 2m.")] = "10s",
    in_flight: Annotated[
        int, typer.Option(min=1, max=100_000, help="What is due while so many wait is not made, but counted.")
    ] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON at the end.")] = False,
) -> None:
    """Make calls at a steady rate; show latencies, codes, and each server's share.

    Calls begin when they are due, whatever became of those before, and their latencies count from then.
    Exits with 0 only if every call was made and ended with OK, and with 130 after Ctrl-C.
    """
    descriptor = find_method(method) if method else harmless_method()
    requests = parse_json(descriptor, request)
    try:
        seconds = parse_duration(duration)
    except ValueError as error:
        raise ValueError(f"--for: {error}") from None
    _connect(channel)
    with ThreadPoolExecutor(in_flight) as streams:
        begin = calls_of(channel, descriptor, requests, streams)
        drive = Drive(begin, rps=rps, seconds=seconds, most=in_flight)
        try:
            good = run(drive, full_name(descriptor), as_json=as_json)
        finally:
            channel.close()  # what is left of a load that was interrupted need not be waited for
    if not good:
        raise typer.Exit(FAILED)


def _connect(channel: grpc.Channel) -> None:
    """Raises RpcError where nobody answers: a load would only say so a thousand times a second."""
    stub: Any = health_pb2_grpc.HealthStub(channel)
    try:
        stub.Check(health_pb2.HealthCheckRequest())
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
            raise
