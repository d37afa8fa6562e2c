"""The command `faults`."""

from typing import Annotated

import grpc
import typer
from google.protobuf.json_format import MessageToDict
from google.rpc import code_pb2

from app.core.errors import UsageError
from deploy.faults.gen.faults.v1 import faults_pb2 as pb
from deploy.faults.gen.faults.v1 import faults_pb2_grpc

_CODES = [name for name in dict(code_pb2.Code.items()) if name != "OK"]
_MIB = 1024**2


def faults(
    channel: grpc.Channel,
    *,
    off: Annotated[bool, typer.Option("--off", help="Switch all off first.")] = False,
    method: Annotated[
        str | None,
        typer.Option(help="Only calls of this one, as SERVICE/METHOD.", show_default=False),
    ] = None,
    latency: Annotated[
        float | None,
        typer.Option(min=0, max=60, help="What each call waits, in seconds.", show_default=False),
    ] = None,
    errors: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="The share of calls that fail.", show_default=False),
    ] = None,
    code: Annotated[
        str | None, typer.Option(help="The status code of these; UNAVAILABLE if omitted.", show_default=False)
    ] = None,
    stuck: Annotated[
        int | None,
        typer.Option(min=0, max=10_000, help="How many of the next calls never end.", show_default=False),
    ] = None,
    ready: Annotated[
        bool | None, typer.Option("--ready/--not-ready", help="The server's readiness.", show_default=False)
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=256,
            help="What the server takes more of each second, in MiB.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Switch faults on and off, and print those that are on.

    Without options, only prints them. Faults that no option names stay as they are.
    """
    stub = faults_pb2_grpc.FaultsServiceStub(channel)
    wanted = pb.Faults() if off else stub.GetFaults(pb.GetFaultsRequest()).faults
    before = pb.Faults()
    before.CopyFrom(wanted)
    if method is not None:
        wanted.method = method
    if latency is not None:
        wanted.latency.FromNanoseconds(round(latency * 1e9))
    if errors is not None:
        wanted.error_share = errors
    if code is not None:
        wanted.code = _code(code)
    if stuck is not None:
        wanted.stuck_calls = stuck
    if ready is not None:
        wanted.not_ready = not ready
    if memory is not None:
        wanted.memory_bytes_per_second = round(memory * _MIB)
    if off or wanted != before:
        stub.SetFaults(pb.SetFaultsRequest(faults=wanted))
    on = MessageToDict(wanted, preserving_proto_field_name=True)
    print("\n".join(f"{name}: {value}" for name, value in on.items()) or "all off")


def _code(text: str) -> code_pb2.Code.ValueType:
    if text.upper() not in _CODES:
        raise UsageError(
            f"--code: {text!r} is no status code of an error; expected one of {', '.join(_CODES)}"
        )
    return code_pb2.Code.Value(text.upper())
