"""The settings of TLS."""

from pathlib import Path
from typing import Annotated, Literal

from app.core.section import File, Section, check, check_content, content, setting
from app.tls.certificates import check_pair, parse_certificates, parse_private_key

_Certificates = Annotated[Path, content(parse_certificates)]


class TlsSettings(Section):
    """TLS or mutual TLS on every address; plaintext when none of them is set."""

    tls_cert_file: _Certificates | None = setting(
        None,
        "TLS on every address: a PEM file with the server's certificate, followed by the intermediate ones;"
        " plaintext when unset",
        shown=True,
    )
    tls_key_file: File | None = setting(
        None, "the private key of the certificate, as an unencrypted PEM file", shown=True
    )
    tls_client_ca_file: _Certificates | None = setting(
        None,
        "mutual TLS: a PEM file with the clients' CAs; a client without a certificate of them is rejected",
        shown=True,
    )

    @property
    def mode(self) -> Literal["off", "on", "mutual"]:
        if self.tls_cert_file is None:
            return "off"
        return "on" if self.tls_client_ca_file is None else "mutual"

    @check("tls_key_file")
    def _key_of_the_certificate(self) -> None:
        certificate, key = self.tls_cert_file, self.tls_key_file
        if key is None and certificate is not None:
            raise ValueError("required with APP_TLS_CERT_FILE: the private key of its first certificate")
        if key is not None and certificate is None:
            raise ValueError("only valid with APP_TLS_CERT_FILE, the certificate of this key")
        if key is not None and certificate is not None:
            certificates = check_content(certificate, parse_certificates)
            check_content(key, lambda content: check_pair(certificates, parse_private_key(content)))

    @check("tls_client_ca_file")
    def _with_a_certificate(self) -> None:
        if self.tls_client_ca_file is not None and self.tls_cert_file is None:
            raise ValueError("only valid with APP_TLS_CERT_FILE, the server's own certificate")
