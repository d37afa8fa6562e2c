"""Attacks on the signature itself."""

import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from functools import partial

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.support.tokens import b64, claims, part, parts, private, resealed, signature, token
from tests.token_attacks.family import ED, P256, RSA, Attack

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED_ORDER = 2**252 + 27742317777372353535851937790883648493


def seal(made: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The token with its signature, as bytes, changed."""
    return resealed(made, seal=b64(change(urlsafe_b64decode(parts(made)[2] + b"=="))))


def numbers(r: int, s: int) -> bytes:
    """A good ES256 token with these two numbers for a signature."""
    return resealed(token(P256), seal=b64(r.to_bytes(32) + s.to_bytes(32)))


def in_der(raw: bytes) -> bytes:
    return encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))


def not_reduced(raw: bytes) -> bytes:
    """The same EdDSA signature with the group's order added to s (RFC 8032, section 8.4)."""
    return raw[:32] + (int.from_bytes(raw[32:], "little") + ED_ORDER).to_bytes(32, "little")


def signed_in_part(*, header: bool, payload: bool) -> bytes:
    head, body = part({"alg": ED}), part(claims())
    data = b".".join(one for one, taken in ((head, header), (body, payload)) if taken)
    return head + b"." + body + b"." + b64(signature(ED, private(ED), data))


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "cut by a byte": lambda raw: raw[:-1],
    "cut to half": lambda raw: raw[: len(raw) // 2],
    "cut to a byte": lambda raw: raw[:1],
    "a byte longer": lambda raw: raw + b"\x00",
    "a zero byte before": lambda raw: b"\x00" + raw,
    "twice": lambda raw: raw + raw,
    "backwards": lambda raw: raw[::-1],
    "all zero": lambda raw: bytes(len(raw)),
    "all ones": lambda raw: b"\xff" * len(raw),
    "its first bit flipped": lambda raw: bytes([raw[0] ^ 0x80]) + raw[1:],
    "its last bit flipped": lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]),
}
SIGNATURES: dict[str, Attack] = {
    **{
        f"the {algorithm} signature {name}": partial(
            lambda algorithm, change: seal(token(algorithm), change), algorithm, change
        )
        for algorithm in (RSA, P256, ED)
        for name, change in CHANGES.items()
    },
    "ES256 with r = 0 and s = 0 (CVE-2022-21449)": lambda: numbers(0, 0),
    "ES256 with r = 0": lambda: numbers(0, 1),
    "ES256 with s = 0": lambda: numbers(1, 0),
    "ES256 with r = s = 1": lambda: numbers(1, 1),
    "ES256 with r the order": lambda: numbers(P256_ORDER, 1),
    "ES256 with s the order": lambda: numbers(1, P256_ORDER),
    "ES256 with r and s the order": lambda: numbers(P256_ORDER, P256_ORDER),
    "ES256 with s the order and one": lambda: numbers(1, P256_ORDER + 1),
    "ES256 with r and s exchanged": lambda: seal(token(P256), lambda raw: raw[32:] + raw[:32]),
    "ES256 in DER": lambda: seal(token(P256), in_der),
    "EdDSA with the group's order added to s": lambda: seal(token(ED), not_reduced),
    "EdDSA of a small point": lambda: seal(token(ED), lambda _raw: b"\x01" + bytes(63)),
    "RS256 of the number 1": lambda: seal(token(RSA), lambda raw: bytes(len(raw) - 1) + b"\x01"),
    "RS256 with the modulus for a signature": lambda: seal(
        token(RSA), lambda _raw: private(RSA).public_key().public_numbers().n.to_bytes(256)
    ),
    "another token's signature": lambda: resealed(token(sub="ann"), seal=parts(token(sub="eve"))[2]),
    "another token's payload": lambda: resealed(token(), payload=parts(token(exp=time.time() + 9))[1]),
    "another token's header": lambda: resealed(token(), header=parts(token(header={"typ": "at+jwt"}))[0]),
    "the header signed alone": lambda: signed_in_part(header=True, payload=False),
    "the payload signed alone": lambda: signed_in_part(header=False, payload=True),
    "nothing signed": lambda: signed_in_part(header=False, payload=False),
    "a claim changed and the signature kept": lambda: resealed(token(), payload=part(claims(sub="root"))),
    "a space in the header and the signature kept": lambda: resealed(
        token(), header=part(b' {"alg":"EdDSA"}')
    ),
}
