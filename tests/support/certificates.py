"""Certificates for tests, and the directory that Kubernetes mounts them in."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import grpc
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

NAMES = ("localhost", "127.0.0.1", "::1")
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate with those that lead to its CA, and its private key, as PEM."""

    certificate: bytes
    key: bytes

    @property
    def leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate)

    @property
    def expiry(self) -> float:
        return self.leaf.not_valid_after_utc.timestamp()


def issued(
    ca: trustme.CA,
    *names: str,
    common_name: str | None = None,
    valid_from: dt.datetime | None = None,
    until: dt.datetime | None = None,
) -> Pair:
    leaf = ca.issue_cert(*names, common_name=common_name, not_before=valid_from, not_after=until)
    chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
    return Pair(chain, leaf.private_key_pem.bytes())


def issued_with_uri(ca: trustme.CA, name: str, uri: str) -> Pair:
    """A certificate with a DNS name and then a URI, which trustme cannot make."""
    [signer] = x509.load_pem_x509_certificates(ca.cert_pem.bytes())
    signing_key = load_pem_private_key(ca.private_key_pem.bytes(), None)
    assert isinstance(signing_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName(name), x509.UniformResourceIdentifier(uri)]
    certificate = (
        x509.CertificateBuilder(signer.subject, x509.Name([]), key.public_key(), 1, in_days(-1), in_days(1))
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .sign(signing_key, SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Pair(certificate.public_bytes(Encoding.PEM), pem)


def in_days(days: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + days * DAY


def trusting(ca: trustme.CA, client: Pair | None = None) -> grpc.ChannelCredentials:
    """A client's credentials: it trusts that CA, and has a certificate of its own or none."""
    if client is None:
        return grpc.ssl_channel_credentials(ca.cert_pem.bytes())
    return grpc.ssl_channel_credentials(ca.cert_pem.bytes(), client.key, client.certificate)


class Volume:
    """A volume as Kubernetes mounts it: each file is a symlink through `..data`, which is swapped at once."""

    def __init__(self, directory: Path, **files: bytes) -> None:
        self._directory = directory
        self._number = 0
        self.put(**files)
        for name in files:
            self.path(name).symlink_to(Path("..data") / name)

    def path(self, name: str) -> Path:
        return self._directory / name

    def put(self, **files: bytes) -> None:
        self._number += 1
        data = self._directory / f"..{self._number}"
        data.mkdir()
        for name, content in files.items():
            (data / name).write_bytes(content)
        new = self._directory / "..new"
        new.symlink_to(data.name)
        new.rename(self._directory / "..data")
