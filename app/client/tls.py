"""TLS of the client: the CAs that it trusts, and its own certificate."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import grpc

from app.client.reloading import ReloadingFiles
from app.client.target import is_unix_socket
from app.tls.certificates import check_pair, parse_certificates, parse_private_key, validity_problem

Given = TypeVar("Given")
Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class Tls:
    """TLS, or mutual TLS with a client certificate. All files are PEM, and may be replaced while in use.

    `ca_file` has the trusted CAs. The default is the file that GRPC_DEFAULT_SSL_ROOTS_FILE_PATH names, or
    else Mozilla's CAs, which come with grpcio. `cert_file` has the client's certificate, followed by
    intermediate ones, and `key_file` its private key, unencrypted. `server_name` is the name that the
    server's certificate must have; the default is the host of the target, and `localhost` for a unix socket.

    Raises ValueError for a certificate without its key, or a key without its certificate.
    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if self.cert_file is not None and self.key_file is None:
            raise ValueError(f"{self.cert_file}: a certificate requires its private key in key_file")
        if self.key_file is not None and self.cert_file is None:
            raise ValueError(f"{self.key_file}: a private key requires its certificate in cert_file")
        if self.server_name == "":
            raise ValueError("server_name is empty; omit it, or set a name of the server's certificate")

    def credentials(self, *, interval: float = 1.0) -> ReloadingFiles[grpc.ChannelCredentials]:
        """Returns credentials made from the files, which are replaced when the files change.

        New files are used only if all of them are valid, the key matches the certificate, and the certificate
        has not expired. Raises OSError or ValueError, which names the file and what was expected.
        """
        paths = [path for path in (self.ca_file, self.cert_file, self.key_file) if path is not None]
        return ReloadingFiles(paths, partial(self._credentials, paths), interval=interval)

    def options(self, target: str) -> list[tuple[str, str]]:
        """Returns the channel options for `server_name`."""
        # A certificate cannot have the path of a socket as its name.
        name = self.server_name or ("localhost" if is_unix_socket(target) else None)
        return [] if name is None else [("grpc.ssl_target_name_override", name)]

    def _credentials(self, paths: list[Path], *contents: bytes) -> grpc.ChannelCredentials:
        content_of = dict(zip(paths, contents, strict=True))
        ca = cert = key = None
        if self.ca_file is not None:
            ca = content_of[self.ca_file]
            _parse(self.ca_file, parse_certificates, ca)
        if self.cert_file is not None and self.key_file is not None:
            cert, key = content_of[self.cert_file], content_of[self.key_file]
            chain = _parse(self.cert_file, parse_certificates, cert)
            private_key = _parse(self.key_file, parse_private_key, key)
            _parse(self.key_file, partial(check_pair, chain), private_key)
            if problem := validity_problem(chain):
                raise ValueError(f"{self.cert_file}: {problem}; expected one that is valid now")
        return grpc.ssl_channel_credentials(ca, key, cert)


def _parse(path: Path, parse: Callable[[Given], Parsed], given: Given) -> Parsed:
    """Adds the path to the message of a ValueError."""
    try:
        return parse(given)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
