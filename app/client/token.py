"""The token that is sent with each call."""

from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from app.client.details import Metadata
from app.client.files import Files
from app.client.target import is_loopback, is_unix_socket

if TYPE_CHECKING:
    from collections.abc import Callable


class Token:
    """The token of a file, of its last good content: a new one counts within about a second.

    Raises ValueError where the file has no token, or more than a token, and OSError where it cannot be read.
    What goes wrong later is logged, without the token. A pipe, such as `<(…)` of a shell, is read once.
    """

    def __init__(self, path: Path, *, interval: float = 1.0) -> None:
        self._value: Callable[[], str]
        if path.is_fifo():
            token = read_token(path)
            self._value = lambda: token
        else:
            self._value = Files([path], lambda content: _parse(path, content), interval=interval).fresh

    def metadata(self) -> Metadata:
        return (("authorization", f"Bearer {self._value()}"),)

    def call_credentials(self) -> grpc.CallCredentials:
        """Credentials that never fail: calls would end as UNAVAILABLE by them, and be retried, for no use."""
        return grpc.metadata_call_credentials(_Plugin(self), name="token")


class _Plugin(grpc.AuthMetadataPlugin):
    def __init__(self, token: Token) -> None:
        self._token = token

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        """Runs on a thread that grpc starts for it, once for each attempt of a call."""
        del context
        callback(tuple(self._token.metadata()), None)


def with_token(credentials: grpc.ChannelCredentials, token: Token | None) -> grpc.ChannelCredentials:
    """The same credentials, with the token's if there is one."""
    if token is None:
        return credentials
    return grpc.composite_channel_credentials(credentials, token.call_credentials())


def local_credentials(target: str) -> grpc.ChannelCredentials:
    """Credentials for plaintext that gRPC lets a token go with: the server must be on this machine.

    Raises ValueError where it may be elsewhere.
    """
    if not is_loopback(target):
        raise ValueError(
            f"the token would go to {target} unencrypted, and gRPC sends call credentials over TLS alone; use"
            " TLS, or send the token as metadata of each call"
        )
    kind = grpc.LocalConnectionType
    return grpc.local_channel_credentials(kind.UDS if is_unix_socket(target) else kind.LOCAL_TCP)


def read_token(path: Path) -> str:
    """The token in a file of its own. Raises ValueError where it has none, or more than a token."""
    return _parse(path, path.read_bytes())


def check_plaintext(target: str, *, allowed: bool) -> None:
    """Raises ValueError where a token must not go to that target unencrypted."""
    if not (allowed or is_loopback(target)):
        raise ValueError(
            f"the token would go to {target} unencrypted; use TLS, or where the network in between can be"
            " trusted, allow that with allow_plaintext_token"
        )


def _parse(path: Path, content: bytes) -> str:
    token = content.decode("ascii", "replace").strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError(f"{path}: expected one token and nothing else")
    return token
