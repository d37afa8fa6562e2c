import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from app.auth.jwt_keys import parse_jwks, parse_keys
from tests.support.tokens import KIDS, SECRET, b64, issuers_jwks, jwk, jwks, pem, private, secret_jwk

PUBLIC = ("RS256", "ES256", "EdDSA")
ALL = (*PUBLIC, "HS256")


def weak_rsa() -> Any:
    return rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - it is to be refused


def private_pem(key: Any) -> bytes:
    encoded: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return encoded


def test_pem_may_have_several_keys_and_words_between_them() -> None:
    content = b"# of the issuer\n" + b"\nand\n".join(pem(private(name)) for name in PUBLIC)
    keys = parse_keys(content, PUBLIC)
    assert [(key.algorithm, key.id) for key in keys.usable] == [(name, None) for name in PUBLIC]


def test_pem_may_have_the_older_form_of_rsa_keys() -> None:
    older = private("RS256").public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    assert parse_keys(older, PUBLIC).names == ["RS256"]


def test_a_jwks_names_its_keys() -> None:
    keys = parse_keys(b"\n " + issuers_jwks(secret_jwk()), ALL)
    assert keys.names == [f"{name} {KIDS[name]}" for name in ALL]
    assert keys.skipped == ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda: b"", "neither public keys in PEM format nor a JWKS"),
        (lambda: b"s3cret", "neither public keys in PEM format nor a JWKS"),
        (lambda: pem(private("RS256")) + private_pem(private("ES256")), "key 2: .* but found a PRIVATE KEY"),
        (lambda: b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "but found a CERTIFICATE"),
        (lambda: b"-----BEGIN PUBLIC KEY-----\ns3cret\n-----END PUBLIC KEY-----", "key 1: malformed"),
        (lambda: pem(weak_rsa()), "key 1: an RSA key of 1024 bits; expected 2048 to 8192"),
        (lambda: pem(ec.generate_private_key(ec.SECP384R1())), "curve key on secp384r1; expected P-256"),
        (lambda: pem(ec.generate_private_key(ec.SECP256K1())), "curve key on secp256k1; expected P-256"),
        (lambda: pem(ed448.Ed448PrivateKey.generate()), "not an RSA, P-256 or Ed25519 key"),
        (lambda: pem(x25519.X25519PrivateKey.generate()), "not an RSA, P-256 or Ed25519 key"),
        (lambda: pem(private("EdDSA")) * 101, "101 keys; expected at most 100"),
    ],
)
def test_a_file_of_which_one_key_is_wrong_is_refused_with_the_reason(content: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse_keys(content(), ALL)
    assert "s3cret" not in str(caught.value)


def test_a_key_for_an_algorithm_that_is_not_asked_for_is_refused_in_pem() -> None:
    with pytest.raises(
        ValueError, match="key 1: the key is for RS256, which APP_JWT_ALGORITHMS does not list"
    ):
        parse_keys(pem(private("RS256")), ["ES256"])


def oct_jwk(secret: bytes) -> dict[str, Any]:
    return {"kty": "oct", "k": b64(secret).decode()}


PASSED_OVER: dict[str, tuple[Any, str]] = {
    "for encryption": (lambda: jwk(private("RS256"), use="enc"), "use is not sig"),
    "for another use": (lambda: jwk(private("RS256"), use=["sig"]), "use is not sig"),
    "for signing alone": (lambda: jwk(private("RS256"), key_ops=["sign"]), "key_ops does not contain verify"),
    "for wrapping keys": (
        lambda: jwk(private("RS256"), key_ops=["wrapKey"]),
        "key_ops does not contain verify",
    ),
    "key_ops as a text": (lambda: jwk(private("RS256"), key_ops="verify"), "key_ops does not contain verify"),
    "alg RS512": (lambda: jwk(private("RS256"), alg="RS512"), "alg is not RS256"),
    "alg PS256": (lambda: jwk(private("RS256"), alg="PS256"), "alg is not RS256"),
    "alg none": (lambda: jwk(private("RS256"), alg="none"), "alg is not RS256"),
    "alg HS256 on an RSA key": (lambda: jwk(private("RS256"), alg="HS256"), "alg is not RS256"),
    "alg ES384 on a P-256 key": (lambda: jwk(private("ES256"), alg="ES384"), "alg is not ES256"),
    "alg RS256 on a secret": (lambda: secret_jwk(alg="RS256"), "alg is not HS256"),
    "alg HS512 on a secret": (lambda: secret_jwk(alg="HS512"), "alg is not HS256"),
    "a number for a kid": (lambda: jwk(private("RS256"), kid=1), "kid is not a string"),
    "weak RSA": (lambda: jwk(weak_rsa()), "an RSA key of 1024 bits"),
    "RSA with e = 1": (lambda: jwk(private("RS256"), e="AQ"), "not a valid key"),
    "RSA with an even e": (lambda: jwk(private("RS256"), e="BA"), "not a valid key"),
    "RSA without n": (lambda: {"kty": "RSA", "e": "AQAB"}, "not a valid key"),
    "RSA with n a number": (lambda: jwk(private("RS256"), n=5), "not a valid key"),
    "RSA that is private": (
        lambda: jwk(private("RS256"), d="s3cret"),
        "contains a private key; expected public keys only",
    ),
    "Ed25519 that is private": (
        lambda: jwk(private("EdDSA"), d="s3cret"),
        "contains a private key; expected public keys only",
    ),
    "P-384": (lambda: jwk(ec.generate_private_key(ec.SECP384R1())), "secp384r1; expected P-256"),
    "secp256k1": (lambda: jwk(ec.generate_private_key(ec.SECP256K1())), "secp256k1; expected P-256"),
    "a point off the curve": (lambda: jwk(private("ES256"), x=b64(bytes(32)).decode()), "not a valid key"),
    "the point at infinity": (
        lambda: jwk(private("ES256"), x=b64(bytes(32)).decode(), y=b64(bytes(32)).decode()),
        "not a valid key",
    ),
    "a point of another curve's length": (lambda: jwk(private("ES256"), crv="P-521"), "not a valid key"),
    "a curve that is none": (lambda: jwk(private("ES256"), crv="P-257"), "not a valid key"),
    "Ed25519 too short": (lambda: jwk(private("EdDSA"), x="AAAA"), "not a valid key"),
    "X25519": (lambda: jwk(private("EdDSA"), crv="X25519"), "not a valid key"),
    "Ed448": (lambda: jwk(private("EdDSA"), crv="Ed448"), "not a valid key"),
    "kty that is none": (lambda: {"kty": "s3cret"}, "kty is not RSA, EC, OKP or oct"),
    "kty a list": (lambda: {"kty": ["RSA"]}, "kty is not RSA, EC, OKP or oct"),
    "no kty": (lambda: {"kid": "1"}, "kty is not RSA, EC, OKP or oct"),
    "no object": (lambda: "s3cret", "not a JSON object"),
    "a short secret": (lambda: oct_jwk(b"s3cret" * 5), "a secret needs at least 32 bytes"),
    "an empty secret": (lambda: oct_jwk(b""), "not a valid key"),
    "no secret": (lambda: {"kty": "oct"}, "not a valid key"),
    "a secret that is a number": (lambda: {"kty": "oct", "k": 7}, "not a valid key"),
    "a public key for a secret": (
        lambda: oct_jwk(pem(private("RS256"))),
        "a public key, not a secret",
    ),
    "a public JWK for a secret": (
        lambda: oct_jwk(json.dumps(jwk(private("RS256"))).encode()),
        "a public key, not a secret",
    ),
}


@pytest.mark.parametrize("name", PASSED_OVER)
def test_an_unusable_key_of_a_jwks_is_ignored_with_the_reason(name: str) -> None:
    made, reason = PASSED_OVER[name]
    keys = parse_keys(jwks(made(), jwk(private("EdDSA"), kid="good")), ALL)
    assert keys.names == ["EdDSA good"]
    [told] = keys.skipped
    assert told.startswith("key 1: ")
    assert reason in told
    assert "s3cret" not in told
    with pytest.raises(ValueError, match="no usable key; key 1: "):
        parse_keys(jwks(made()), ALL)


def test_a_secret_is_ignored_unless_hs256_is_configured() -> None:
    keys = parse_keys(issuers_jwks(secret_jwk()), PUBLIC)
    assert keys.skipped == ("key 4: the key is for HS256, which APP_JWT_ALGORITHMS does not list",)
    assert b64(SECRET).decode() not in str(keys.skipped)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"keys": {}}', "not a JWKS"),
        (b'{"kty": "RSA"}', "not a JWKS"),
        (b'{"keys": []}', "no usable key"),
        (b'{"keys": [], "keys": []}', "duplicate member"),
        (b'{"keys": ', "not JSON"),
        (b'{"keys": "\xff"}', "not JSON"),
        (b'{"keys": ' + b"[" * 100_000, "not JSON"),
        (b'{"keys": [1' + b",1" * 100 + b"]}", "101 keys; expected at most 100"),
    ],
)
def test_content_that_is_no_jwks_is_invalid(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_keys(content, ALL)


def test_a_web_server_can_send_a_jwks_alone() -> None:
    with pytest.raises(ValueError, match="not JSON"):
        parse_jwks(pem(private("RS256")), PUBLIC)


@given(st.binary() | st.binary().map(lambda text: b"{" + text))
def test_any_bytes_are_keys_or_a_value_error(content: bytes) -> None:
    with pytest.raises(
        ValueError, match=r"^(neither public|not JSON|not a JSON object|JSON, but|NaN|key 1:)"
    ):
        parse_keys(content, ALL)


@given(
    st.dictionaries(
        st.sampled_from(["kty", "alg", "use", "key_ops", "kid", "n", "e", "x", "y", "crv", "k", "d"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.sampled_from(["RSA", "EC", "OKP", "oct", "P-256", "AQAB", "sig", "", "=é"]),
    )
)
def test_any_jwk_is_a_key_or_is_ignored(member: Any) -> None:
    keys = parse_keys(jwks(member, jwk(private("EdDSA"))), ALL)
    assert len(keys.usable) + len(keys.skipped) == 2
