"""The options of every command that calls a server."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.models import OptionInfo

from app.core.errors import UsageError
from app.core.name import variable
from app.core.section import variable as setting_variable

if TYPE_CHECKING:
    from app.client.tls import Tls


def server_option(name: str, text: str, *, envvar: bool | list[str] = True, **options: Any) -> OptionInfo:
    envvars = envvar if isinstance(envvar, list) else variable(name) if envvar else None
    option: OptionInfo = typer.Option(
        name, help=text, envvar=envvars, rich_help_panel="The server", **options
    )
    return option


Target = Annotated[str, server_option("--target", "The server, as HOST:PORT.")]
UseTls = Annotated[bool, server_option("--tls", "Call over TLS; implied by each of the next four.")]
CaFile = Annotated[Path | None, server_option("--ca", "A file with the CAs to trust, instead of grpc's own.")]
CertFile = Annotated[Path | None, server_option("--cert", "A file with a client certificate (mutual TLS).")]
KeyFile = Annotated[Path | None, server_option("--key", "A file with the private key of --cert.")]
ServerName = Annotated[
    str | None, server_option("--server-name", "The name in the server's certificate, if not the target's.")
]
TokenFile = Annotated[Path | None, server_option("--token-file", "A file with the token to send.")]
PlaintextToken = Annotated[
    bool,
    server_option("--allow-plaintext-token", "Send the token unencrypted to another machine.", envvar=False),
]
Timeout = Annotated[
    float,
    server_option("--timeout", "The deadline of a call, in seconds.", envvar=False, min=0.001, max=86_400),
]
# The server's own variable too, so that commands beside it, as in its pod, receive what it sends.
MaxMessageBytes = Annotated[
    int,
    server_option(
        "--max-message-bytes",
        "The largest reply to receive, in bytes.",
        envvar=[variable("--max-message-bytes"), setting_variable("max_message_bytes")],
        min=1,
        max=2**31 - 1,
    ),
]


def check_files(files: Mapping[str, Path | None]) -> None:
    """Raises UsageError, which names the option, for a file that cannot be read."""
    for option, path in files.items():
        if path is not None:
            try:
                path.open("rb").close()
            except OSError as error:
                raise UsageError(f"{option}: {path}: {error.strerror}") from None


def check_text(arguments: Mapping[str, object]) -> None:
    """Raises UsageError for a text that is not UTF-8, which no message and no target can have."""
    for name, value in arguments.items():
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise UsageError(f"{name}: {value!r} is not UTF-8") from None


def tls_of(
    ca: Path | None, cert: Path | None, key: Path | None, server_name: str | None, *, tls: bool
) -> "Tls | None":
    """Returns what the options ask for; None without any of them. Raises UsageError."""
    from app.client.tls import Tls

    if (cert is None) is not (key is None):
        raise UsageError("--cert and --key are required together: a certificate and its private key")
    named = any((ca, cert, key, server_name))
    return Tls(ca, cert, key, server_name or None) if tls or named else None
