"""Commands that call a server: they get a channel, and their errors are explained."""

import inspect
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from app.core.code import CODE_LABELS
from app.core.errors import UsageError
from app.core.metadata import REQUEST_ID
from app.core.name import NAME
from app.core.service import Command
from app.tools.exit import INVALID, exit_code, fail
from app.tools.options import (
    CaFile,
    CertFile,
    KeyFile,
    MaxMessageBytes,
    PlaintextToken,
    ServerName,
    Target,
    Timeout,
    TokenFile,
    UseTls,
    check_files,
    check_text,
    tls_of,
)
from app.tools.unavailable import explain_unavailable

if TYPE_CHECKING:
    from app.client.tls import Tls

# The client's names in its errors, and the options for them.
_OPTIONS = {
    "ca_file": "--ca",
    "cert_file": "--cert",
    "key_file": "--key",
    "server_name": "--server-name",
    "token_file": "--token-file",
    "allow_plaintext_token": "--allow-plaintext-token",
}
# What grpc's client says of a reply that is too large.
_TOO_LARGE = re.compile(r"CLIENT: Received message larger than max (\(.*?\))")
_CLIENTS_NAME = re.compile(rf"(?<![\w/.-])({'|'.join(_OPTIONS)})(?![\w/.-])")


def over_channel(function: Command, services: Sequence[ServiceDescriptor]) -> Callable[..., None]:
    """Makes a command of a function of a channel: adds the options, and opens the channel to the services."""

    def command(
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
        max_message_bytes: MaxMessageBytes = 4 * 1024 * 1024,
        **arguments: Any,
    ) -> None:
        from app.client.channel import channel

        quiet_grpc()
        files = {"--ca": ca, "--cert": cert, "--key": key, "--token-file": token_file}
        try:
            check_text({"--target": target, "--server-name": server_name, **arguments})
            check_files(files)
            secured = tls_of(ca, cert, key, server_name, tls=tls)
            with usage_errors(files):
                opened = channel(
                    target,
                    tls=secured,
                    token_file=token_file,
                    allow_plaintext_token=allow_plaintext_token,
                    timeout=timeout,
                    services=services,
                    max_receive_bytes=max_message_bytes,
                )
            with opened:
                function(opened, **arguments)
        except grpc.RpcError as error:
            fail(_explain(error, target, secured), code=exit_code(code_of(error)))
        except UsageError as error:  # any other exception is a bug, and ends in a traceback
            fail(str(error), code=INVALID)

    # typer reads a command's parameters from its signature.
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    common = [one for one in inspect.signature(command).parameters.values() if one.kind is one.KEYWORD_ONLY]
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own] + common
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    command.__name__, command.__doc__ = function.__name__.rstrip("_"), function.__doc__
    return command


@contextmanager
def usage_errors(files: Mapping[str, Path | None]) -> Iterator[None]:
    """Makes UsageErrors of what the client raises for arguments that it refuses, with the options' names."""
    try:
        yield
    except (OSError, ValueError) as error:
        text = _CLIENTS_NAME.sub(lambda found: _OPTIONS[found[0]], str(error))
        option = next((name for name, path in files.items() if text.startswith(f"{path}: ")), "")
        raise UsageError(f"{option}: {text}" if option else text) from None


def quiet_grpc() -> None:
    """Turns off grpc's log of errors, which the command reports itself."""
    logging.getLogger("grpc").addHandler(logging.NullHandler())


def code_of(error: Any) -> grpc.StatusCode:
    code: grpc.StatusCode = error.code()  # grpc's types do not tell that its RpcErrors are calls
    return code


def _explain(error: Any, target: str, tls: "Tls | None") -> str:
    """Returns what an RpcError means, and a remedy."""
    code, details = code_of(error), error.details()
    further = f"`{NAME} doctor {target}` examines why"
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return f"{details}; set --token-file to a file with a token"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return f"{target} does not serve this method: {details}"
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and (sizes := _TOO_LARGE.search(details)):
        return f"the reply is larger than --max-message-bytes {sizes[1]}"
    answered = any(key == REQUEST_ID for key, _ in error.trailing_metadata() or ())
    if code is grpc.StatusCode.UNAVAILABLE and not answered:
        return f"{explain_unavailable(target, details, tls)}; {further}"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED and not answered:
        return f"{target} did not answer in time: --timeout allows more seconds; {further}"
    return f"{CODE_LABELS[code]}: {details}"
