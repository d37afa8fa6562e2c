"""An issuer of tokens for tests: its keys, and tokens with any header, claims and signature."""

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from hmac import digest as hmac_digest
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ISSUER = "https://issuer.test/"
AUDIENCE = "api"
SECRET = sha256(b"a secret of 32 bytes").digest()

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

# The `kid` of each of the issuer's keys, by algorithm.
KIDS = {"RS256": "rsa-1", "ES256": "ec-1", "EdDSA": "ed-1", "HS256": "secret-1"}


def private(algorithm: str, owner: str = "issuer") -> Any:
    """The private key of that owner, made once: making one takes up to a second."""
    return _private(algorithm, owner)


@cache
def _private(algorithm: str, _owner: str) -> Any:
    if algorithm.startswith(("RS", "PS")):
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1())


def pem(key: Any) -> bytes:
    """The public half, as a PEM file has it."""
    encoded: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def jwk(key: Any, **members: Any) -> dict[str, Any]:
    """The public half, as a JWKS has it."""
    kinds = {
        rsa.RSAPrivateKey: "RS256",
        ec.EllipticCurvePrivateKey: "ES256",
        ed25519.Ed25519PrivateKey: "EdDSA",
    }
    algorithm: Any = jwt.get_algorithm_by_name(
        next(name for kind, name in kinds.items() if isinstance(key, kind))
    )
    found = {
        name: value
        for name, value in algorithm.to_jwk(key.public_key(), as_dict=True).items()
        if name != "key_ops"
    }
    return found | members


def secret_jwk(secret: bytes = SECRET, **members: Any) -> dict[str, Any]:
    return {"kty": "oct", "k": b64(secret).decode(), "kid": KIDS["HS256"]} | members


def jwks(*members: Any) -> bytes:
    return json.dumps({"keys": members}).encode()


def issuers_jwks(*more: Any) -> bytes:
    """The issuer's public keys, one of each algorithm."""
    return jwks(
        *(jwk(private(name), kid=KIDS[name], use="sig") for name in ("RS256", "ES256", "EdDSA")), *more
    )


def b64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def claims(**changes: Any) -> dict[str, Any]:
    """Claims that are good for an hour, with these changes; `...` leaves one out."""
    now = time.time()
    given = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": now + 3600, "iat": now} | changes
    return {name: value for name, value in given.items() if value is not ...}


def part(content: Any) -> bytes:
    """A part of a token: bytes as they are, anything else as JSON."""
    return b64(content if isinstance(content, bytes) else json.dumps(content).encode())


def signature(algorithm: str, key: Any, data: bytes) -> bytes:
    """What that algorithm signs with that key; `key` is bytes for HS…, private otherwise."""
    bits = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}.get(algorithm[-3:])
    if algorithm.startswith("HS"):
        return hmac_digest(key, data, f"sha{algorithm[-3:]}")
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    assert bits is not None
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(bits)))
        size = (key.curve.key_size + 7) // 8
        return r.to_bytes(size) + s.to_bytes(size)
    if algorithm.startswith("PS"):
        pss = padding.PSS(padding.MGF1(bits), salt_length=bits.digest_size)
        return bytes(key.sign(data, pss, bits))
    return bytes(key.sign(data, padding.PKCS1v15(), bits))


def signed(header: Any, payload: Any, key: Any, algorithm: str) -> bytes:
    """A token with exactly this header and payload (JSON, or bytes as they are), signed with the key."""
    data = part(header) + b"." + part(payload)
    return data + b"." + b64(signature(algorithm, key, data))


def token(algorithm: str = "EdDSA", *, header: Mapping[str, Any] | None = None, **changes: Any) -> bytes:
    """A good token of the issuer, with these changes of its claims and its header."""
    head = {"alg": algorithm, "typ": "JWT", "kid": KIDS[algorithm]} | dict(header or {})
    head = {name: value for name, value in head.items() if value is not ...}
    key = SECRET if algorithm == "HS256" else private(algorithm)
    return signed(head, claims(**changes), key, algorithm)


def parts(made: bytes) -> list[bytes]:
    return made.split(b".")


def resealed(
    made: bytes, *, header: bytes | None = None, payload: bytes | None = None, seal: bytes | None = None
) -> bytes:
    """The token with some of its parts exchanged, and the others, its signature above all, as they were."""
    given = parts(made)
    changed = [new or old for new, old in zip((header, payload, seal), given, strict=True)]
    return b".".join(changed)
