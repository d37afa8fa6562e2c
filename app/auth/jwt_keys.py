"""The keys that verify tokens: public keys in PEM, or a JWKS (RFC 7517).

A key has one algorithm, which follows from the key and never from a token (RFC 8725, section 3.1).
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

# The minimum is of RFC 7518, section 3.3. Longer keys than the maximum take milliseconds for each token.
_RSA_BITS = range(2048, 8192 + 1)
# RFC 7518, section 3.2: as long as the hash.
_SECRET_BYTES = 32
# Limits the keys that are tried for a token without a `kid`.
_MAX_KEYS = 100

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
# A public key, or a secret.
Material = PublicKey | bytes


@dataclass(frozen=True, slots=True)
class Key:
    """A key of one algorithm."""

    id: str | None  # a JWK's `kid`
    algorithm: str
    material: Material


@dataclass(frozen=True, slots=True)
class Keys:
    """At least one usable key, and the reason for each key of a JWKS that is skipped."""

    usable: tuple[Key, ...]
    skipped: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The usable keys, for the log."""
        return [key.algorithm if key.id is None else f"{key.algorithm} {key.id}" for key in self.usable]

    def fitting(self, algorithm: str, key_id: str | None) -> tuple[Key, ...]:
        """Returns the keys that may have signed a token with this `alg` and `kid`.

        A key without an id, as in PEM, matches every `kid`. A token without one matches only such keys, or
        the single key of its algorithm (OpenID Connect Core, section 10.1).
        """
        found = tuple(key for key in self.usable if key.algorithm == algorithm)
        if key_id is None and len(found) == 1:
            return found
        return tuple(key for key in found if key.id is None or key.id == key_id)


def parse_keys(content: bytes, algorithms: Collection[str]) -> Keys:
    """Parses a file of keys for these algorithms: public keys in PEM, all of them usable, or a JWKS.

    Raises ValueError, whose text has nothing of a key.
    """
    if content.lstrip().startswith(b"{"):
        return parse_jwks(content, algorithms)
    blocks = list(_PEM.finditer(content))
    if not blocks:
        raise ValueError("neither public keys in PEM format nor a JWKS")
    _check_count(len(blocks))
    return Keys(tuple(_pem(block, f"key {number}", algorithms) for number, block in enumerate(blocks, 1)))


def _pem(block: re.Match[bytes], name: str, algorithms: Collection[str]) -> Key:
    label = block[1].decode()
    if "PUBLIC KEY" not in label:
        raise ValueError(f"{name}: expected a PUBLIC KEY, which verifies tokens, but found a {label}")
    try:
        found = load_pem_public_key(block[0])
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{name}: malformed") from None
    try:
        algorithm, material = _verifying(found)
        _check_wanted(algorithm, algorithms)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return Key(None, algorithm, material)


def parse_jwks(content: bytes, algorithms: Collection[str]) -> Keys:
    """Parses a JWKS. A key that is too weak or for another purpose is skipped (RFC 7517, section 5).

    Raises ValueError if no key is left or the content is not a JWKS. Its text has nothing of a key.
    """
    members = parse_object(content).get("keys")
    if not isinstance(members, list):
        raise ValueError('JSON, but not a JWKS; expected {"keys": […]}')
    _check_count(len(members))
    usable, skipped = [], []
    for number, member in enumerate(members, 1):
        try:
            usable.append(_jwk(member, algorithms))
        except ValueError as error:
            skipped.append(f"key {number}: {error}")
    if not usable:
        raise ValueError("; ".join(["no usable key", *skipped]))
    return Keys(tuple(usable), tuple(skipped))


def _jwk(member: Any, algorithms: Collection[str]) -> Key:
    if not isinstance(member, dict):
        raise ValueError("not a JSON object")
    if member.get("use", "sig") != "sig":
        raise ValueError("use is not sig")
    operations = member.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise ValueError("key_ops does not contain verify")
    key_id = member.get("kid")
    if not isinstance(key_id, str | None):
        raise ValueError("kid is not a string")
    algorithm: str
    material: Material
    if member.get("kty") == "oct":
        algorithm, material = "HS256", _secret(member)
    elif "d" in member:
        raise ValueError("contains a private key; expected public keys only")
    else:
        algorithm, material = _verifying(_public(member))
    if member.get("alg", algorithm) != algorithm:
        raise ValueError(f"alg is not {algorithm}")
    _check_wanted(algorithm, algorithms)
    return Key(key_id, algorithm, material)


# The text of PyJWT's exceptions contains the JWK, secrets included: it must not be used.


def _public(member: dict[str, Any]) -> object:
    algorithm = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}.get(str(member.get("kty")))
    if algorithm is None:
        raise ValueError("kty is not RSA, EC, OKP or oct")
    try:
        found: object = jwt.PyJWK(member, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("not a valid key") from None
    return found


def _secret(member: dict[str, Any]) -> bytes:
    try:
        material: bytes = jwt.PyJWK(member, "HS256").key
    except (jwt.PyJWTError, KeyError, ValueError, TypeError):
        raise ValueError("not a valid key") from None
    try:
        jwt.get_algorithm_by_name("HS256").prepare_key(material)
    except jwt.InvalidKeyError:
        raise ValueError("a public key, not a secret") from None
    if len(material) < _SECRET_BYTES:
        raise ValueError(f"a secret needs at least {_SECRET_BYTES} bytes, such as: openssl rand 32")
    return material


def _verifying(key: object) -> tuple[str, PublicKey]:
    """Returns the key with its algorithm. Raises ValueError for a weak key, and for one of another kind."""
    if isinstance(key, RSAPublicKey):
        if key.key_size not in _RSA_BITS:
            raise ValueError(f"an RSA key of {key.key_size} bits; expected {_RSA_BITS[0]} to {_RSA_BITS[-1]}")
        return "RS256", key
    if isinstance(key, EllipticCurvePublicKey):
        if not isinstance(key.curve, SECP256R1):
            raise ValueError(f"an elliptic curve key on {key.curve.name}; expected P-256")
        return "ES256", key
    if isinstance(key, Ed25519PublicKey):
        return "EdDSA", key
    raise ValueError("not an RSA, P-256 or Ed25519 key")


def _check_wanted(algorithm: str, algorithms: Collection[str]) -> None:
    if algorithm not in algorithms:
        raise ValueError(f"the key is for {algorithm}, which APP_JWT_ALGORITHMS does not list")


def _check_count(number: int) -> None:
    if number > _MAX_KEYS:
        raise ValueError(f"{number} keys; expected at most {_MAX_KEYS}")
