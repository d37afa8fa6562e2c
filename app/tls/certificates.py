"""Certificates and private keys in PEM files."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

# cryptography is imported where it is used: it takes a tenth of the server's start.
if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate


def parse_certificates(content: bytes) -> "list[Certificate]":
    """Returns the certificates of a PEM file in their order, at least one. Raises ValueError."""
    from cryptography import x509

    begun = content.count(b"-----BEGIN CERTIFICATE-----")
    if not begun:
        raise ValueError("no certificate in PEM format; expected -----BEGIN CERTIFICATE-----")
    try:
        found = x509.load_pem_x509_certificates(content)
    except ValueError:
        found = []
    if len(found) != begun:  # one without its end is skipped
        raise ValueError("a certificate is malformed")
    return found


def parse_private_key(content: bytes) -> "PrivateKeyTypes":
    """Returns the private key of a PEM file. Raises ValueError, whose text has nothing of the key.

    Only kinds of keys whose signatures grpc's clients accept are valid. With an Ed25519 key the server would
    start, and every handshake fail.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if b"PRIVATE KEY-----" not in content:
        raise ValueError("no private key in PEM format; expected -----BEGIN PRIVATE KEY-----")
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:
        raise ValueError(
            "the private key is encrypted; write one without a passphrase, for example:"
            " openssl pkey -in ENCRYPTED -out PLAIN"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("the private key is malformed") from None
    on_a_curve = isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(
        key.curve, ec.SECP256R1 | ec.SECP384R1
    )
    usual = isinstance(key, rsa.RSAPrivateKey) or on_a_curve
    if not usual:
        raise ValueError(
            "the private key is of a kind that gRPC does not accept; expected RSA, or ECDSA on P-256 or P-384"
        )
    return key


def check_pair(certificates: "Sequence[Certificate]", key: "PrivateKeyTypes") -> None:
    """Raises ValueError unless the key belongs to the first certificate."""
    from cryptography.exceptions import UnsupportedAlgorithm

    def fits(certificate: "Certificate") -> bool:
        try:
            return certificate.public_key() == key.public_key()
        except (ValueError, UnsupportedAlgorithm):
            return False

    if fits(certificates[0]):
        return
    if any(fits(one) for one in certificates):
        raise ValueError(
            "the private key matches a later certificate, not the first one;"
            " put the certificate of the key first, then the intermediate ones"
        )
    raise ValueError("the private key does not match the certificate")


def first_expiry(certificates: "Sequence[Certificate]") -> datetime:
    """Returns when the first of the certificates expires."""
    return min(one.not_valid_after_utc for one in certificates)


def validity_problem(certificates: "Sequence[Certificate]") -> str:
    """Returns why the certificates are not valid now; "" if they are."""
    now = datetime.now(UTC)
    if (expired := first_expiry(certificates)) < now:
        return f"a certificate expired at {expired.isoformat()}"
    if (valid_from := max(one.not_valid_before_utc for one in certificates)) > now:
        return f"a certificate is not valid before {valid_from.isoformat()}"
    return ""
