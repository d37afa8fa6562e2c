"""TLS from the client's side: whom it trusts, and who it says that it is."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import grpc

from app.client.files import Files
from app.client.target import is_unix_socket
from app.tls.certificates import check_pair, parse_certificates, parse_private_key, untimely

Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class Tls:
    """TLS, or mutual TLS where the client has a certificate too. All files are PEM, and may be replaced.

    `ca_file` has the CAs that the server's certificate may be of. Without it, they are those of the file that
    GRPC_DEFAULT_SSL_ROOTS_FILE_PATH names, or else Mozilla's, as they come with grpcio. `cert_file` has the
    client's certificate, then those that lead to its CA, and `key_file` its private key, unencrypted.
    `server_name` is the name that the server's certificate must have; without it, that is the host of the
    target, and `localhost` for a unix socket.

    Raises ValueError for a certificate without its key, or a key without its certificate.
    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if self.cert_file is not None and self.key_file is None:
            raise ValueError(f"{self.cert_file}: a certificate needs its private key, in key_file")
        if self.key_file is not None and self.cert_file is None:
            raise ValueError(f"{self.key_file}: a private key counts only with its certificate, in cert_file")
        if self.server_name == "":
            raise ValueError("server_name is empty; leave it out, or name what the certificate is for")

    def credentials(self, *, interval: float = 1.0) -> Files[grpc.ChannelCredentials]:
        """The credentials that the files make, and new ones when the files change.

        They are taken only if all are good, the key is the certificate's and that is valid now. Raises
        OSError or ValueError, which name the file and what would be right.
        """
        paths = [path for path in (self.ca_file, self.cert_file, self.key_file) if path is not None]
        return Files(paths, partial(self._credentials, paths), interval=interval)

    def options(self, target: str) -> list[tuple[str, str]]:
        """The options that a channel to that target needs for it."""
        # A socket's path is no name that a certificate could have.
        name = self.server_name or ("localhost" if is_unix_socket(target) else None)
        return [] if name is None else [("grpc.ssl_target_name_override", name)]

    def _credentials(self, paths: list[Path], *contents: bytes) -> grpc.ChannelCredentials:
        content_of = dict(zip(paths, contents, strict=True))
        ca = cert = key = None
        if self.ca_file is not None:
            ca = content_of[self.ca_file]
            _named(self.ca_file, parse_certificates, ca)
        if self.cert_file is not None and self.key_file is not None:
            cert, key = content_of[self.cert_file], content_of[self.key_file]
            chain = _named(self.cert_file, parse_certificates, cert)
            private_key = _named(self.key_file, parse_private_key, key)
            _named(self.key_file, partial(check_pair, chain), private_key)
            if problem := untimely(chain):
                raise ValueError(f"{self.cert_file}: {problem}; one that is valid now would be right")
        return grpc.ssl_channel_credentials(ca, key, cert)


def _named(path: Path, parse: Callable[[Parsed], Any], given: Parsed) -> Any:
    try:
        return parse(given)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
