"""The command line: the commands that every fork has, and the verbs of the services."""

import inspect
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version as installed_version
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import grpc
import typer
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.console import Console

from app.core.code import CODE_LABELS
from app.core.errors import StartError
from app.core.metadata import REQUEST_ID
from app.core.name import NAME, variable
from app.core.service import Verb
from app.runtime.signals import Signals
from app.services import SERVICES
from app.tools.invoke import invoke
from app.tools.json_requests import JsonLines, parse_json
from app.tools.load.command import load
from app.tools.methods import complete_method, complete_service, find_method
from app.tools.unanswered import why_unanswered

if TYPE_CHECKING:
    from app.client.tls import Tls

# Exit codes, for scripts. 0: done. 1: not serving (health), or not every call was made and OK (load). 2:
# wrong usage, settings or files. A call that failed: 64 + its status code, as grpcurl has it, so that 78 is
# UNAVAILABLE and 80 UNAUTHENTICATED.
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
    from app.settings import load as load_settings  # noqa: PLC0415

    try:
        settings = load_settings()
    except StartError as error:
        mistakes = str(error).splitlines()
        plural = "" if len(mistakes) == 1 else "s"
        _fail(f"cannot start: {len(mistakes)} configuration error{plural}", *mistakes, code=WRONG)
    try:
        server.run(settings, context.obj or Signals())
    except StartError as error:
        _fail(f"cannot start: {error}", code=WRONG)


@cli.command()
def version() -> None:
    """Print the version."""
    print(installed_version(NAME))  # noqa: T201 - output of a command


def health(
    channel: grpc.Channel,
    service: Annotated[
        str,
        typer.Argument(
            help='A service\'s full name, or "liveness"; readiness when left out.',
            show_default=False,
            autocompletion=complete_service,
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
    method: Annotated[
        str,
        typer.Argument(
            help="Such as quotes.Quoter/GetQuote.", show_default=False, autocompletion=complete_method
        ),
    ],
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
    descriptor = find_method(method)
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


def _option(name: str, text: str, *, envvar: bool = True, **how: Any) -> Any:
    """One of those that say how a server is called."""
    envvars = variable(name) if envvar else None
    return typer.Option(name, help=text, envvar=envvars, rich_help_panel="The server", **how)


# The options of every command that calls a server.
Target = Annotated[str, _option("--target", "The server, as HOST:PORT.")]
UseTls = Annotated[bool, _option("--tls", "Call over TLS; each of the next four says so too.")]
CaFile = Annotated[Path | None, _option("--ca", "A file with the CAs to trust, in place of grpc's own.")]
CertFile = Annotated[Path | None, _option("--cert", "A file with a certificate to show (mutual TLS).")]
KeyFile = Annotated[Path | None, _option("--key", "A file with that certificate's private key.")]
ServerName = Annotated[
    str | None, _option("--server-name", "The name in the server's certificate, if not the target's.")
]
TokenFile = Annotated[Path | None, _option("--token-file", "A file with a token to send.")]
PlaintextToken = Annotated[
    bool,
    _option("--allow-plaintext-token", "Send the token unencrypted to another machine.", envvar=False),
]
Timeout = Annotated[
    float, _option("--timeout", "Seconds until a call is given up.", envvar=False, min=0.001, max=86_400)
]

# The library's names, in its errors, and the options that they are here.
_OPTIONS = {
    "ca_file": "--ca",
    "cert_file": "--cert",
    "key_file": "--key",
    "server_name": "--server-name",
    "token_file": "--token-file",
    "allow_plaintext_token": "--allow-plaintext-token",
}
_LIBRARYS_NAME = re.compile(rf"(?<![\w/.-])({'|'.join(_OPTIONS)})(?![\w/.-])")


def over_channel(verb: Verb) -> Callable[..., None]:
    """Makes a command of a verb: adds the options above, and hands it the channel that they describe."""

    def command(  # noqa: PLR0913 - one for each option
        *,
        target: Target = "localhost:50051",
        tls: UseTls = False,
        ca: CaFile = None,
        cert: CertFile = None,
        key: KeyFile = None,
        server_name: ServerName = None,
        token_file: TokenFile = None,
        allow_plaintext_token: PlaintextToken = False,
        timeout: Timeout = 10.0,
        **arguments: Any,
    ) -> None:
        # Imported only here: a shell that completes words does not need it.
        from app.client.channel import channel  # noqa: PLC0415

        _quiet_grpc()
        files = {"--ca": ca, "--cert": cert, "--key": key, "--token-file": token_file}
        try:
            _check_files(files)
            secured = _tls(ca, cert, key, server_name, tls=tls)
            with channel(
                target,
                tls=secured,
                token_file=token_file,
                allow_plaintext_token=allow_plaintext_token,
                timeout=timeout,
                services=[service.descriptor for service in SERVICES],
            ) as opened:
                verb(opened, **arguments)
        except grpc.RpcError as error:
            _fail(_advice(error, target, secured), code=STATUS + _code(error).value[0])
        except (OSError, ValueError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            text = _LIBRARYS_NAME.sub(lambda found: _OPTIONS[found[0]], str(error))
            option = next((name for name, path in files.items() if text.startswith(f"{path}: ")), "")
            _fail(f"{option}: {text}" if option else text, code=WRONG)

    # typer reads a command's parameters off its signature.
    own = list(inspect.signature(verb, eval_str=True).parameters.values())[1:]
    common = [one for one in inspect.signature(command).parameters.values() if one.kind is one.KEYWORD_ONLY]
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own] + common
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    command.__name__, command.__doc__ = verb.__name__.rstrip("_"), verb.__doc__
    return command


def _check_files(files: Mapping[str, Path | None]) -> None:
    """Raises ValueError, which names the option, where a file cannot be read."""
    for option, path in files.items():
        if path is not None:
            try:
                path.open("rb").close()
            except OSError as error:
                raise ValueError(f"{option}: {path}: {error.strerror}") from None


def _tls(
    ca: Path | None, cert: Path | None, key: Path | None, server_name: str | None, *, tls: bool
) -> "Tls | None":
    """What the options say of TLS; None where none of them does. Raises ValueError."""
    # Imported only here: a shell that completes words does not need it.
    from app.client.tls import Tls  # noqa: PLC0415

    if (cert is None) is not (key is None):
        raise ValueError("--cert and --key go together: a certificate, and its private key")
    named = any((ca, cert, key, server_name))
    return Tls(ca, cert, key, server_name or None) if tls or named else None


def _quiet_grpc() -> None:
    """What goes wrong is told once, by us, and not by grpc as well."""
    logging.getLogger("grpc").addHandler(logging.NullHandler())


_verbs: tuple[Verb, ...] = (health, call, load, *(verb for service in SERVICES for verb in service.verbs))
for _verb in _verbs:
    cli.command()(over_channel(_verb))


@cli.command()
def doctor(  # noqa: PLR0913 - one for each option
    target: Annotated[
        str, typer.Argument(help="The server, as HOST:PORT.", envvar=variable("--target"))
    ] = "localhost:50051",
    *,
    tls: UseTls = False,
    ca: CaFile = None,
    cert: CertFile = None,
    key: KeyFile = None,
    server_name: ServerName = None,
    token_file: TokenFile = None,
    allow_plaintext_token: PlaintextToken = False,
    timeout: Annotated[
        float, _option("--timeout", "Seconds until all of it is given up.", envvar=False, min=0.1, max=86_400)
    ] = 10.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False,
) -> None:
    """Find out why a call fails, step by step, and say what to type.

    The exit code is the one that a call would end with: 0 where nothing is wrong, 1 not serving, 2 wrong
    usage or files, and 64 + the status code, so that 78 is UNAVAILABLE and 80 UNAUTHENTICATED.
    """
    # Imported only here: nothing else needs it.
    from app.tools.doctor.case import Asked  # noqa: PLC0415
    from app.tools.doctor.report import print_report  # noqa: PLC0415
    from app.tools.doctor.steps import diagnose  # noqa: PLC0415

    _quiet_grpc()
    try:
        secured = _tls(ca, cert, key, server_name, tls=tls)
    except ValueError as error:
        _fail(str(error), code=WRONG)
    asked = Asked(
        target=target,
        tls=secured,
        token_file=token_file,
        allow_plaintext_token=allow_plaintext_token,
        timeout=timeout,
    )
    diagnosis = diagnose(asked, [service.descriptor for service in SERVICES])
    if json:
        print(dumps(diagnosis.as_object(), ensure_ascii=False))  # noqa: T201 - output of a command
    else:
        print_report(diagnosis, Console(markup=False, emoji=False, highlight=False))
    if (wrong := diagnosis.wrong) is not None:
        usual = NOT_SERVING if wrong.cause == "not-serving" else WRONG
        raise typer.Exit(usual if wrong.status is None else STATUS + wrong.status.value[0])


def _code(error: Any) -> grpc.StatusCode:
    code: grpc.StatusCode = error.code()  # grpc types what its clients raise as RpcError alone
    return code


def _advice(error: Any, target: str, tls: "Tls | None") -> str:
    """What an RpcError means, and what to do about it."""
    code, details = _code(error), error.details()
    closer = f"`{NAME} doctor {target}` looks closer"
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return f"{details}; --token-file names the file that has it"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return f"{target} does not serve this: {details}"
    answered = any(key == REQUEST_ID for key, _ in error.trailing_metadata() or ())
    if code is grpc.StatusCode.UNAVAILABLE and not answered:
        return f"{why_unanswered(target, details, tls)}; {closer}"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED and not answered:
        return f"{target} did not answer in time: --timeout allows for more seconds; {closer}"
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
