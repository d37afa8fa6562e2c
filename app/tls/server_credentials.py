"""The server's certificate, private key and client CA, from files that are reloaded."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import grpc
import structlog
from prometheus_client import CollectorRegistry, Gauge

from app.reload.file import WatchedFiles
from app.tls.certificates import (
    check_pair,
    first_expiry,
    parse_certificates,
    parse_private_key,
    validity_problem,
)

Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class _Certificates:
    """The certificates for new connections. The expiries are Unix timestamps in seconds."""

    configuration: grpc.ServerCertificateConfiguration
    expiry: float
    client_ca_expiry: float
    validity_problem: str  # why they are not valid now, or ""


class ServerCredentials(WatchedFiles[_Certificates]):
    """TLS credentials of the server; mutual TLS if there is a client CA.

    Inside `with`, new connections get changed files within about a second; open connections keep theirs. The
    files are replaced together, and only if the key belongs to the certificate and all are valid now; until
    then the last valid ones are used. At the start there are none: expired certificates are used then, and
    logged. Raises StartError.
    """

    def __init__(
        self, certificate: Path, key: Path, client_ca: Path | None, registry: CollectorRegistry
    ) -> None:
        self._mutual = client_ca is not None
        super().__init__([certificate, key, *([client_ca] if client_ca else [])], _parse)
        self._parse = _parse_valid_now
        if self.value.validity_problem:
            structlog.get_logger().warning("tls_certificate_not_valid", problem=self.value.validity_problem)
        expiry = Gauge(
            "tls_certificate_expiration_timestamp_seconds",
            "Expiry of the certificate that expires first, as a Unix timestamp in seconds.",
            ["certificate"],
            registry=registry,
        )
        expiry.labels("server").set_function(lambda: self.value.expiry)
        if self._mutual:
            expiry.labels("client_ca").set_function(lambda: self.value.client_ca_expiry)

    def credentials(self) -> grpc.ServerCredentials:
        """Returns credentials for one address. grpc asks them for changes, and needs each change once."""
        served = self.value

        def changed() -> grpc.ServerCertificateConfiguration | None:
            nonlocal served
            if served is self.value:
                return None
            served = self.value
            return served.configuration

        return grpc.dynamic_ssl_server_credentials(
            served.configuration,
            changed,  # type: ignore[arg-type]  # grpc documents None, its types do not
            require_client_authentication=self._mutual,
        )


def _parse(certificate: bytes, key: bytes, client_ca: bytes | None = None) -> _Certificates:
    chain = _named("APP_TLS_CERT_FILE", parse_certificates, certificate)
    check_pair(chain, _named("APP_TLS_KEY_FILE", parse_private_key, key))
    client_ca_expiry = 0.0
    if client_ca is not None:
        trusted = _named("APP_TLS_CLIENT_CA_FILE", parse_certificates, client_ca)
        client_ca_expiry = first_expiry(trusted).timestamp()
    return _Certificates(
        grpc.ssl_server_certificate_configuration([(key, certificate)], client_ca),
        first_expiry(chain).timestamp(),
        client_ca_expiry,
        validity_problem(chain),
    )


def _parse_valid_now(*contents: bytes) -> _Certificates:
    found = _parse(*contents)
    if found.validity_problem:
        raise ValueError(found.validity_problem)
    return found


def _named(variable: str, parse: Callable[[bytes], Parsed], content: bytes) -> Parsed:
    try:
        return parse(content)
    except ValueError as error:
        raise ValueError(f"{variable}: {error}") from None
