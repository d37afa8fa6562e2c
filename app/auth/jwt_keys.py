"""The keys that tokens are verified with: public keys in PEM, or a JWKS (RFC 7517).

A key is for one algorithm, which follows from the key and never from a token (RFC 8725, section 3.1).
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from app.auth.json_object import parse_object

# RFC 7518, section 3.3. What is longer than the other bound takes milliseconds for each token.
_RSA_BITS = range(2048, 8192 + 1)
# RFC 7518, section 3.2: as long as the hash.
_SECRET_BYTES = 32
# So that a token that names no key is not tried with any number of them.
_MOST_KEYS = 100

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Key:
    """What verifies the signatures of one algorithm: a public key of `cryptography`, or a secret as bytes."""

    id: str | None  # a JWK's `kid`
    algorithm: str
    material: Any


@dataclass(frozen=True, slots=True)
class Keys:
    """At least one key, and the reason of each that a JWKS has and that is not used."""

    usable: tuple[Key, ...]
    passed_over: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """For the log."""
        return [key.algorithm if key.id is None else f"{key.algorithm} {key.id}" for key in self.usable]

    def fitting(self, algorithm: str, key_id: str | None) -> tuple[Key, ...]:
        """Those that a token of this `alg` and `kid` may have been signed with.

        A key without an id, as in PEM, fits every `kid`. A token without one fits those keys alone, or the
        only one of its algorithm (OpenID Connect Core, section 10.1).
        """
        found = tuple(key for key in self.usable if key.algorithm == algorithm)
        if key_id is None and len(found) == 1:
            return found
        return tuple(key for key in found if key.id is None or key.id == key_id)


def parse_keys(content: bytes, algorithms: Collection[str]) -> Keys:
    """Reads a file of keys for these algorithms: public keys in PEM, all of which must fit, or a JWKS.

    Raises ValueError, in words that repeat no key.
    """
    if content.lstrip().startswith(b"{"):
        return parse_jwks(content, algorithms)
    blocks = list(_PEM.finditer(content))
    if not blocks:
        raise ValueError("it has neither public keys in PEM nor a JWKS")
    _check_count(len(blocks))
    return Keys(tuple(_pem(block, f"key {number}", algorithms) for number, block in enumerate(blocks, 1)))


def _pem(block: re.Match[bytes], name: str, algorithms: Collection[str]) -> Key:
    label = block[1].decode()
    if "PUBLIC KEY" not in label:
        raise ValueError(f"{name}: a PUBLIC KEY is needed to verify tokens, and this is a {label}")
    try:
        material = load_pem_public_key(block[0])
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{name}: it cannot be read") from None
    try:
        algorithm = _algorithm(material)
        _check_wanted(algorithm, algorithms)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return Key(None, algorithm, material)


def parse_jwks(content: bytes, algorithms: Collection[str]) -> Keys:
    """Reads a JWKS. A key for another purpose, or not good enough, is passed over.

    For issuers publish keys for everybody (RFC 7517, section 5). Raises ValueError where none is left, and
    for what is no JWKS, in words that repeat no key.
    """
    members = parse_object(content).get("keys")
    if not isinstance(members, list):
        raise ValueError('it is JSON, but no JWKS: {"keys": […]}')  # noqa: TRY004 - a value from outside
    _check_count(len(members))
    usable, passed_over = [], []
    for number, member in enumerate(members, 1):
        try:
            usable.append(_jwk(member, algorithms))
        except ValueError as error:
            passed_over.append(f"key {number}: {error}")
    if not usable:
        raise ValueError("; ".join(["it has no key that can be used", *passed_over]))
    return Keys(tuple(usable), tuple(passed_over))


def _jwk(member: Any, algorithms: Collection[str]) -> Key:
    if not isinstance(member, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - a value from outside
    if member.get("use", "sig") != "sig":
        raise ValueError("its use is not sig")
    operations = member.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise ValueError("its key_ops do not have verify")
    key_id = member.get("kid")
    if not isinstance(key_id, str | None):
        raise ValueError("its kid is not a string")  # noqa: TRY004 - a value from outside
    if member.get("kty") == "oct":
        algorithm, material = "HS256", _secret(member)
    elif "d" in member:
        raise ValueError("it is a private key, which only the issuer may have")
    else:
        material = _public(member)
        algorithm = _algorithm(material)
    if member.get("alg", algorithm) != algorithm:
        raise ValueError(f"its alg is not {algorithm}")
    _check_wanted(algorithm, algorithms)
    return Key(key_id, algorithm, material)


# What PyJWT raises for a JWK repeats it, secrets too: none of its texts may be passed on.


def _public(member: dict[str, Any]) -> Any:
    algorithm = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}.get(str(member.get("kty")))
    if algorithm is None:
        raise ValueError("its kty is none of RSA, EC, OKP and oct")
    try:
        return jwt.PyJWK(member, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("it is not a valid key") from None


def _secret(member: dict[str, Any]) -> bytes:
    try:
        material: bytes = jwt.PyJWK(member, "HS256").key
    except (jwt.PyJWTError, KeyError, ValueError, TypeError):
        raise ValueError("it is not a valid key") from None
    try:
        jwt.get_algorithm_by_name("HS256").prepare_key(material)
    except jwt.InvalidKeyError:
        raise ValueError("it is a public key, which is no secret") from None
    if len(material) < _SECRET_BYTES:
        raise ValueError(f"a secret needs at least {_SECRET_BYTES} bytes, such as: openssl rand 32")
    return material


def _algorithm(material: Any) -> str:
    """The one algorithm that this key is used with here. Raises ValueError for what is too weak, or other."""
    if isinstance(material, RSAPublicKey):
        if material.key_size not in _RSA_BITS:
            raise ValueError(
                f"an RSA key of {material.key_size} bits; {_RSA_BITS[0]} to {_RSA_BITS[-1]} are right"
            )
        return "RS256"
    if isinstance(material, EllipticCurvePublicKey):
        if not isinstance(material.curve, SECP256R1):
            raise ValueError(  # noqa: TRY004 - a value from outside
                f"an elliptic curve key on {material.curve.name}; P-256 is right"
            )
        return "ES256"
    if isinstance(material, Ed25519PublicKey):
        return "EdDSA"
    raise ValueError("it is none of RSA, P-256 and Ed25519")


def _check_wanted(algorithm: str, algorithms: Collection[str]) -> None:
    if algorithm not in algorithms:
        raise ValueError(f"it is for {algorithm}, which APP_JWT_ALGORITHMS does not have")


def _check_count(number: int) -> None:
    if number > _MOST_KEYS:
        raise ValueError(f"it has {number} keys; at most {_MOST_KEYS} are right")
