"""Certificates and private keys, as PEM files have them."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

# cryptography is imported only where it is used: it takes a tenth of the time that a start takes.
if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate


def parse_certificates(content: bytes) -> "list[Certificate]":
    """Returns every certificate of a PEM file, one at least, in its order. Raises ValueError, in words."""
    from cryptography import x509  # noqa: PLC0415 - see above

    begun = content.count(b"-----BEGIN CERTIFICATE-----")
    if not begun:
        raise ValueError("it has no certificate in PEM form, which begins with -----BEGIN CERTIFICATE-----")
    try:
        found = x509.load_pem_x509_certificates(content)
    except ValueError:
        found = []
    if len(found) != begun:  # one without its end is passed over
        raise ValueError("a certificate in it is broken")
    return found


def parse_private_key(content: bytes) -> "PrivateKeyTypes":
    """Returns the private key of a PEM file. Raises ValueError, in words that tell nothing of the key.

    The kinds are those whose signatures grpc's own clients take: it would start with an Ed25519 key, and
    every one of them would fail.
    """
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    if b"PRIVATE KEY-----" not in content:
        raise ValueError("it has no private key in PEM form, which begins with -----BEGIN PRIVATE KEY-----")
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:
        raise ValueError(
            "its private key is encrypted, and nobody is there to type its passphrase; write one without, as"
            " does: openssl pkey -in ENCRYPTED -out PLAIN"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("its private key is broken") from None
    on_a_curve = isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(
        key.curve, ec.SECP256R1 | ec.SECP384R1
    )
    usual = isinstance(key, rsa.RSAPrivateKey) or on_a_curve
    if not usual:
        raise ValueError(
            "its private key is of a kind that gRPC does not take; RSA, or ECDSA on P-256 or P-384, is right"
        )
    return key


def check_pair(certificates: "Sequence[Certificate]", key: "PrivateKeyTypes") -> None:
    """Raises ValueError unless the key is that of the first certificate."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - see above

    def fits(certificate: "Certificate") -> bool:
        try:
            return certificate.public_key() == key.public_key()
        except (ValueError, UnsupportedAlgorithm):
            return False

    if fits(certificates[0]):
        return
    if any(fits(one) for one in certificates):
        raise ValueError(
            "the private key is not that of the first certificate, but of a later one;"
            " the certificate of the key comes first, then those that lead to its CA"
        )
    raise ValueError("the private key is not that of the certificate; the two must be made together")


def first_expiry(certificates: "Sequence[Certificate]") -> datetime:
    """When the first of them expires."""
    return min(one.not_valid_after_utc for one in certificates)


def untimely(certificates: "Sequence[Certificate]") -> str:
    """Why they are not valid now, in words; "" where all of them are."""
    now = datetime.now(UTC)
    if (expired := first_expiry(certificates)) < now:
        return f"a certificate expired at {expired.isoformat()}"
    if (valid_from := max(one.not_valid_before_utc for one in certificates)) > now:
        return f"a certificate is not valid before {valid_from.isoformat()}"
    return ""
