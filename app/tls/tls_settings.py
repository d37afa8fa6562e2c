"""The settings of TLS."""

from pathlib import Path
from typing import Literal

from pydantic import ValidationInfo, field_validator

from app.core.section import File, Section, check_content, setting
from app.tls.certificates import check_pair, parse_certificates, parse_private_key

_FILE = "the path of a file that can be read"


class TlsSettings(Section):
    """TLS, or mutual TLS, on every address; plaintext where none of them is set."""

    tls_cert_file: File | None = setting(
        None,
        "TLS on every address: a PEM file with the server's certificate, then those that lead to its CA;"
        " plaintext when unset",
        right=_FILE,
    )
    tls_key_file: File | None = setting(None, "its private key, as an unencrypted PEM file", right=_FILE)
    tls_client_ca_file: File | None = setting(
        None,
        "mutual TLS: a PEM file with the CAs of clients; a client without a certificate of theirs is refused",
        right=_FILE,
    )

    @property
    def tls(self) -> Literal["off", "on", "mutual"]:
        if self.tls_cert_file is None:
            return "off"
        return "on" if self.tls_client_ca_file is None else "mutual"

    @field_validator("tls_cert_file")
    @classmethod
    def _certificates(cls, value: Path | None) -> Path | None:
        if value is not None:
            check_content(value, parse_certificates)
        return value

    @field_validator("tls_key_file")
    @classmethod
    def _key_of_the_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if "tls_cert_file" not in info.data:  # it was wrong itself
            return value
        certificate: Path | None = info.data["tls_cert_file"]
        if value is None and certificate is not None:
            raise ValueError("APP_TLS_CERT_FILE needs it: the private key of its first certificate")
        if value is not None and certificate is None:
            raise ValueError("it counts only with APP_TLS_CERT_FILE, the certificate that it belongs to")
        if value is not None and certificate is not None:
            certificates = check_content(certificate, parse_certificates)
            check_content(value, lambda content: check_pair(certificates, parse_private_key(content)))
        return value

    @field_validator("tls_client_ca_file")
    @classmethod
    def _with_a_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None:
            if info.data.get("tls_cert_file", value) is None:
                raise ValueError("it counts only with APP_TLS_CERT_FILE, the server's own certificate")
            check_content(value, parse_certificates)
        return value
