"""The bearer token sent with each call, read from a file."""

from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from app.client.interceptor import Metadata
from app.client.reloading import ReloadingFiles
from app.client.target import is_loopback, is_unix_socket

if TYPE_CHECKING:
    from collections.abc import Callable


class FileToken:
    """The token in a file. A new token is used within about a second.

    Raises ValueError if the file does not contain exactly one token, and OSError if it cannot be read. Later
    errors are logged, without the token, and the last good one stays. A pipe (`<(…)`) is read once.
    """

    def __init__(self, path: Path, *, interval: float = 1.0) -> None:
        self._value: Callable[[], str]
        if path.is_fifo():
            token = read_token(path)
            self._value = lambda: token
        else:
            self._value = ReloadingFiles(
                [path], lambda content: _parse(path, content), interval=interval
            ).fresh

    def metadata(self) -> Metadata:
        return (("authorization", f"Bearer {self._value()}"),)

    def call_credentials(self) -> grpc.CallCredentials:
        """Returns credentials that never fail: a failure would end calls as UNAVAILABLE, and be retried."""
        return grpc.metadata_call_credentials(_Plugin(self), name="token")


class _Plugin(grpc.AuthMetadataPlugin):
    def __init__(self, token: FileToken) -> None:
        self._token = token

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        """Runs on a thread that grpc starts, once for each attempt of a call."""
        del context
        callback(tuple(self._token.metadata()), None)


def with_token(credentials: grpc.ChannelCredentials, token: FileToken | None) -> grpc.ChannelCredentials:
    """Adds the token, if any, to the credentials."""
    if token is None:
        return credentials
    return grpc.composite_channel_credentials(credentials, token.call_credentials())


def local_credentials(target: str) -> grpc.ChannelCredentials:
    """Returns plaintext credentials that gRPC accepts together with a token: for a server on this machine.

    Raises ValueError if the target may be on another machine.
    """
    if not is_loopback(target):
        raise ValueError(
            f"the token would be sent to {target} unencrypted, and gRPC sends call credentials only over TLS;"
            " use TLS, or send the token as metadata of each call"
        )
    kind = grpc.LocalConnectionType
    return grpc.local_channel_credentials(kind.UDS if is_unix_socket(target) else kind.LOCAL_TCP)


def read_token(path: Path) -> str:
    """Reads a file with one token. Raises ValueError if it contains anything else."""
    return _parse(path, path.read_bytes())


def check_plaintext(target: str, *, allowed: bool) -> None:
    """Raises ValueError if a token must not be sent to that target unencrypted."""
    if not (allowed or is_loopback(target)):
        raise ValueError(
            f"the token would be sent to {target} unencrypted; use TLS, or if the network is trusted,"
            " allow_plaintext_token"
        )


def _parse(path: Path, content: bytes) -> str:
    token = content.decode("ascii", "replace").strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError(f"{path}: expected one token and nothing else")
    return token
