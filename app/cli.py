"""The command line: the commands that every fork has, and the verbs of the services."""

import inspect
import logging
import os
import sys
from collections.abc import Callable
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Any, NoReturn

import grpc
import typer
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.console import Console

from app.client.channel import channel
from app.client.invoke import invoke
from app.client.json_requests import JsonLines, parse_json
from app.core.code import CODE_LABELS
from app.core.errors import StartError
from app.core.name import NAME
from app.core.service import Verb
from app.runtime.signals import Signals
from app.services import SERVICES

# Exit codes, for scripts. 0: done. 1: not serving (health). 2: wrong usage, settings or files. A call that
# failed: 64 + its status code, as grpcurl has it, so that 78 is UNAVAILABLE and 80 UNAUTHENTICATED.
NOT_SERVING, WRONG, STATUS = 1, 2, 64

cli = typer.Typer(
    name=NAME,
    help="Serve quotes over gRPC, and ask for them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@cli.command()
def serve(context: typer.Context) -> None:
    """Serve until SIGTERM or Ctrl-C. The settings are APP_… variables; the README lists them."""
    # Imported only here: it takes longer than everything else, and a shell that completes words waits for it.
    from app import server  # noqa: PLC0415
    from app.core.settings import load  # noqa: PLC0415
    from app.settings import Settings  # noqa: PLC0415

    try:
        server.run(load(Settings), context.obj or Signals())
    except StartError as error:
        problems = str(error).splitlines()
        _fail(f"the server cannot start ({len(problems)} to mend):", *problems, code=WRONG)


@cli.command()
def version() -> None:
    """Print the version."""
    print(installed_version(NAME))  # noqa: T201 - output of a command


def health(
    channel: grpc.Channel,
    service: Annotated[
        str,
        typer.Argument(
            help='A service\'s full name, or "liveness"; readiness when left out.', show_default=False
        ),
    ] = "",
) -> None:
    """Print SERVING, and exit with 0, or NOT_SERVING, and exit with 1."""
    stub: Any = health_pb2_grpc.HealthStub(channel)
    try:
        reply = stub.Check(health_pb2.HealthCheckRequest(service=service))
    except grpc.RpcError as error:
        if _code(error) is not grpc.StatusCode.NOT_FOUND:
            raise
        _fail(f"the server knows of no service {service!r}", code=STATUS + _code(error).value[0])
    print(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))  # noqa: T201 - output of a command
    if reply.status != health_pb2.HealthCheckResponse.SERVING:
        raise typer.Exit(NOT_SERVING)


def call(
    channel: grpc.Channel,
    method: Annotated[str, typer.Argument(help="Such as quotes.Quoter/GetQuote.", show_default=False)],
    request: Annotated[
        str,
        typer.Argument(
            metavar="JSON",
            help="The request; an array of them where the method takes a stream; - reads one a line.",
            show_default=False,
        ),
    ] = "{}",
) -> None:
    """Call any method of this program's services, and print each reply as a line of JSON."""
    descriptor = _method(method)
    requests = JsonLines(descriptor, sys.stdin) if request == "-" else parse_json(descriptor, request)
    console = Console(soft_wrap=True)
    try:
        for reply in invoke(channel, descriptor, requests):
            text = json_format.MessageToJson(reply, indent=None, always_print_fields_with_no_presence=True)
            console.print_json(text, indent=None, ensure_ascii=False)
    except grpc.RpcError:
        if isinstance(requests, JsonLines) and requests.wrong is not None:
            raise requests.wrong from None
        raise


def _method(name: str) -> MethodDescriptor:
    """Finds a method by `package.Service/Method`; a leading `/`, or no package, will do as well."""
    service, _, wanted = name.removeprefix("/").rpartition("/")
    methods = [
        method
        for each in SERVICES
        if service in {each.name, each.descriptor.name}
        for method in each.descriptor.methods
    ]
    for method in methods:
        if method.name == wanted:
            return method
    known = methods or [method for each in SERVICES for method in each.descriptor.methods]
    names = ", ".join(f"{method.containing_service.full_name}/{method.name}" for method in known)
    return _fail(f"there is no method {name!r}; choose of {names}", code=WRONG)


# The options of every command that calls a server.
Target = Annotated[str, typer.Option(help="The server, as HOST:PORT.", envvar="QUOTER_TARGET")]
TokenFile = Annotated[
    Path | None, typer.Option(help="A file with a token to send.", envvar="QUOTER_TOKEN_FILE")
]
PlaintextToken = Annotated[
    bool, typer.Option("--allow-plaintext-token", help="Send the token unencrypted to another machine.")
]
Timeout = Annotated[float, typer.Option(min=0.001, max=86_400, help="Seconds until a call is given up.")]


def over_channel(verb: Verb) -> Callable[..., None]:
    """Makes a command of a verb: adds the options above, and hands it the channel that they describe."""

    def command(
        *,
        target: Target = "localhost:50051",
        token_file: TokenFile = None,
        allow_plaintext_token: PlaintextToken = False,
        timeout: Timeout = 10.0,
        **arguments: Any,
    ) -> None:
        # What goes wrong is told once, by the lines below, and not by grpc as well.
        logging.getLogger("grpc").addHandler(logging.NullHandler())
        try:
            with channel(
                target, token_file=token_file, allow_plaintext_token=allow_plaintext_token, timeout=timeout
            ) as opened:
                verb(opened, **arguments)
        except grpc.RpcError as error:
            _fail(_advice(error, target), code=STATUS + _code(error).value[0])
        except (OSError, ValueError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            _fail(str(error).replace("allow_plaintext_token", "--allow-plaintext-token"), code=WRONG)

    # typer reads a command's parameters off its signature.
    own = list(inspect.signature(verb, eval_str=True).parameters.values())[1:]
    common = [one for one in inspect.signature(command).parameters.values() if one.kind is one.KEYWORD_ONLY]
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own] + common
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    command.__name__, command.__doc__ = verb.__name__, verb.__doc__
    return command


_verbs: tuple[Verb, ...] = (health, call, *(verb for service in SERVICES for verb in service.verbs))
for _verb in _verbs:
    cli.command()(over_channel(_verb))


def _code(error: Any) -> grpc.StatusCode:
    code: grpc.StatusCode = error.code()  # grpc types what its clients raise as RpcError alone
    return code


def _advice(error: Any, target: str) -> str:
    """What an RpcError means, and what to do about it."""
    code, details = _code(error), error.details()
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return f"{details}; --token-file names the file that has it"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return f"{target} does not serve this: {details}"
    answered = any(key == "x-request-id" for key, _ in error.trailing_metadata() or ())
    if code is grpc.StatusCode.UNAVAILABLE and not answered:
        return f"no server answers at {target}: start one with `make run`, or name another with --target"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED and not answered:
        return f"{target} did not answer in time: --timeout allows for more seconds"
    return f"{CODE_LABELS[code]}: {details}"


def _fail(*lines: str, code: int) -> NoReturn:
    console = Console(stderr=True, soft_wrap=True, markup=False, emoji=False, highlight=False)
    console.print(f"{NAME}: {lines[0]}")
    for line in lines[1:]:
        console.print(f"  {line}")
    raise typer.Exit(code)


def main(signals: Signals | None = None) -> None:
    """Runs the command of `sys.argv`; `signals` has those that came while the program was loaded."""
    try:
        cli(obj=signals)
    except BrokenPipeError:  # the reader of our output, such as `head`, has had enough
        sys.exit(1)
    finally:
        try:
            sys.stdout.flush()
        except OSError:  # nor can Python write what is left when it exits
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
