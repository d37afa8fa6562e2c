import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from app.tls.certificates import check_pair, parse_certificates, parse_private_key, validity_problem
from tests.support.certificates import in_days, issued

CA = trustme.CA()


def pem(
    key: PrivateKeyTypes,
    form: PrivateFormat = PrivateFormat.PKCS8,
    encryption: KeySerializationEncryption | None = None,
) -> bytes:
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())


RSA = rsa.generate_private_key(65537, 2048)
KINDS: dict[str, PrivateKeyTypes] = {
    "RSA": RSA,
    "P-256": ec.generate_private_key(ec.SECP256R1()),
    "P-384": ec.generate_private_key(ec.SECP384R1()),
}
OTHER_KINDS: dict[str, PrivateKeyTypes] = {
    "P-521": ec.generate_private_key(ec.SECP521R1()),
    "P-224": ec.generate_private_key(ec.SECP224R1()),
    "secp256k1": ec.generate_private_key(ec.SECP256K1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    "Ed448": ed448.Ed448PrivateKey.generate(),
    "DSA": dsa.generate_private_key(2048),
}


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("kind", KINDS)
def test_a_key_of_a_usual_kind_and_form_is_read(kind: str, form: PrivateFormat) -> None:
    parse_private_key(b"a comment\n" + pem(KINDS[kind], form))


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_a_key_that_grpc_or_its_clients_cannot_use_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="expected RSA, or ECDSA on P-256 or P-384"):
        parse_private_key(pem(OTHER_KINDS[kind]))


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key_is_refused_with_what_to_do(form: PrivateFormat) -> None:
    with pytest.raises(ValueError, match="the private key is encrypted; write one without a passphrase"):
        parse_private_key(pem(RSA, form, BestAvailableEncryption(b"secret")))


def test_a_public_key_and_a_der_file_are_not_private_keys_in_pem() -> None:
    public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = RSA.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    for content in (public, der, b""):
        with pytest.raises(ValueError, match="no private key in PEM format"):
            parse_private_key(content)


def test_every_certificate_of_a_file_is_read_and_a_broken_one_is_none() -> None:
    chain = issued(CA, "a.example").certificate + CA.cert_pem.bytes()
    assert len(parse_certificates(b"a comment\n" + chain)) == 2
    with pytest.raises(ValueError, match="a certificate is malformed"):
        parse_certificates(chain.replace(b"MII", b"MIJ"))
    with pytest.raises(ValueError, match="a certificate is malformed"):
        parse_certificates(chain[:-80])


def test_the_key_must_be_that_of_the_first_certificate() -> None:
    pair = issued(CA, "a.example")
    ca = CA.cert_pem.bytes()
    key = parse_private_key(pair.key)
    check_pair(parse_certificates(pair.certificate + ca), key)
    with pytest.raises(
        ValueError,
        match="matches a later certificate, not the first one; put the certificate of the key first",
    ):
        check_pair(parse_certificates(ca + pair.certificate), key)
    with pytest.raises(ValueError, match="does not match the certificate"):
        check_pair(parse_certificates(ca), key)


def test_a_chain_has_a_validity_problem_where_a_certificate_of_it_is_not_valid_now() -> None:
    good = issued(CA, "a.example").certificate
    expired = issued(CA, "a.example", valid_from=in_days(-2), until=in_days(-1)).certificate
    early = issued(CA, "a.example", valid_from=in_days(1), until=in_days(2)).certificate
    assert validity_problem(parse_certificates(good)) == ""
    assert "expired at" in validity_problem(parse_certificates(good + expired))
    assert "not valid before" in validity_problem(parse_certificates(good + early))
