"""The command line: the commands that every fork has, and the verbs of the services."""

import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Any, NoReturn

import grpc
import typer
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.console import Console

from app import server
from app.client.channel import channel
from app.client.invoke import invoke, request_class
from app.core.code import CODE_LABELS
from app.core.errors import StartError
from app.core.service import Verb
from app.core.settings import load
from app.runtime.logs import configure_logs
from app.services import SERVICES
from app.settings import Settings

# Exit codes, for scripts. 0: done. 1: not serving (health). 2: wrong usage, settings or files. A call that
# failed: 64 + its status code, as grpcurl has it, so that 78 is UNAVAILABLE and 80 UNAUTHENTICATED.
NOT_SERVING, WRONG, STATUS = 1, 2, 64

cli = typer.Typer(
    name=server.NAME,
    help="Serve quotes over gRPC, and ask for them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@cli.command()
def serve() -> None:
    """Serve until SIGTERM or Ctrl-C. The settings are APP_… variables; the README lists them."""
    try:
        settings = load(Settings)
        configure_logs(settings.log_level, settings.log_format)
        server.run(settings)
    except StartError as error:
        problems = str(error).splitlines()
        _fail(f"the server cannot start ({len(problems)} to mend):", *problems, code=WRONG)


@cli.command()
def version() -> None:
    """Print the version."""
    print(installed_version(server.NAME))  # noqa: T201 - output of a command


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
    reply = health_pb2_grpc.HealthStub(channel).Check(  # type: ignore[attr-defined]
        health_pb2.HealthCheckRequest(service=service)
    )
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
    console = Console(soft_wrap=True)
    for reply in invoke(channel, descriptor, _requests(descriptor, request)):
        text = json_format.MessageToJson(reply, indent=None, always_print_fields_with_no_presence=True)
        console.print_json(text, indent=None, ensure_ascii=False)


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


def _requests(method: MethodDescriptor, text: str) -> Iterator[Message]:
    """Reads the requests, from standard input as they come where `text` is `-`."""
    documents = (line for line in sys.stdin if line.strip()) if text == "-" else iter([text])
    for document in documents:
        try:
            value = json.loads(document)
            several = value if method.client_streaming and isinstance(value, list) else [value]
            for one in several:
                yield json_format.ParseDict(one, request_class(method)())
        except (ValueError, json_format.ParseError) as error:
            reason = " ".join(str(error).split())
            _fail(f"not a {method.input_type.full_name} as JSON: {reason}", code=WRONG)


# The options of every command that calls a server.
Target = Annotated[str, typer.Option(help="The server, as HOST:PORT.", envvar="QUOTER_TARGET")]
TokenFile = Annotated[
    Path | None, typer.Option(help="A file with a token to send.", envvar="QUOTER_TOKEN_FILE")
]
PlaintextToken = Annotated[
    bool, typer.Option("--allow-plaintext-token", help="Send the token unencrypted to another machine.")
]
Timeout = Annotated[float, typer.Option(min=0.001, help="Seconds until a call is given up.")]


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
        try:
            with channel(
                target, token_file=token_file, allow_plaintext_token=allow_plaintext_token, timeout=timeout
            ) as opened:
                verb(opened, **arguments)
        except grpc.RpcError as error:
            _fail(_advice(error, target), code=STATUS + error.code().value[0])
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


def _advice(error: grpc.RpcError, target: str) -> str:
    code, details = error.code(), error.details()
    match code:
        case grpc.StatusCode.UNAVAILABLE:
            return f"no server answers at {target}: start one with `make run`, or name another with --target"
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"{target} did not answer in time: --timeout allows for more seconds"
        case grpc.StatusCode.UNAUTHENTICATED:
            return f"{details}; --token-file names the file that has it"
        case grpc.StatusCode.UNIMPLEMENTED:
            return f"{target} does not serve this: {details}"
    return f"{CODE_LABELS[code]}: {details}"


def _fail(*lines: str, code: int) -> NoReturn:
    console = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)
    console.print(f"{server.NAME}: {lines[0]}")
    for line in lines[1:]:
        console.print(f"  {line}")
    raise typer.Exit(code)


def main() -> None:
    try:
        cli()
    except BrokenPipeError:  # the reader of our output, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
