"""Attacks on the form of a token: its parts, their JSON, and the kind that it says it is of.

Where it does not matter for the attack, the issuer has signed it.
"""

import json
import time
import zlib
from typing import Any

from tests.support.tokens import (
    AUDIENCE,
    ISSUER,
    KIDS,
    b64,
    claims,
    jwk,
    part,
    parts,
    private,
    signature,
    signed,
    token,
)
from tests.token_attacks.family import ED, RSA, Attack, each

# What is not three parts of base64url.

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
TEXTS = [
    *(".", "..", "...", "null", "undefined", "{}", "[]", "0", "Bearer", "a.b.c", "e30.e30.e30", "*.*.*"),
    *("-", "%00", "' OR 1=1 --", "${env:HOME}", "../../etc/passwd"),
]


def padded(position: int) -> bytes:
    made = parts(token())
    made[position] += b"=" * (-len(made[position]) % 4 or 4)
    return b".".join(made)


def loose(position: int) -> bytes:
    """The token with a part whose last character has unused bits set, so that it decodes to the same."""
    # The length of the claims also varies with the digits of their dates.
    for filler in ("x" * length for length in range(30)):
        made = parts(token(RSA, header={"fill": filler}, fill=filler))
        if len(made[position]) % 4:
            last = ALPHABET.index(made[position][-1:])
            made[position] = made[position][:-1] + ALPHABET[last + 1 : last + 2]
            return b".".join(made)
    raise AssertionError("no part has unused bits")


def exchanged(made: bytes) -> bytes:
    head, body, seal = parts(made)
    return b".".join([body, head, seal])


def in_json(*, flat: bool) -> bytes:
    """RFC 7515, section 7.2."""
    head, body, seal = (one.decode() for one in parts(token()))
    entry = {"protected": head, "signature": seal}
    return json.dumps({"payload": body, **(entry if flat else {"signatures": [entry]})}).encode()


PARTS: dict[str, Attack] = {
    **each("the text", lambda text: text.encode(), TEXTS),
    "the header alone": lambda: parts(token())[0],
    "two parts": lambda: b".".join(parts(token())[:2]),
    "four parts": lambda: token() + b".AAAA",
    "five parts, as if encrypted": lambda: token() + b".AAAA.AAAA",
    "a dot before": lambda: b"." + token(),
    "a dot after": lambda: token() + b".",
    "two dots between": lambda: token().replace(b".", b"..", 1),
    "no header": lambda: b"." + b".".join(parts(token())[1:]),
    "no payload, as if it were elsewhere": lambda: parts(token())[0] + b".." + parts(token())[2],
    "JWS in flattened JSON": lambda: in_json(flat=True),
    "JWS in general JSON": lambda: in_json(flat=False),
    **each("padding on part", padded, [0, 1, 2]),
    **each("unused bits set in part", loose, [0, 1, 2]),
    **each(
        "between header and payload,",
        lambda text: token().replace(b".", text.encode(), 1),
        [" .", ". ", ",", ";", "%2E", ":", "/"],
    ),
    **each(
        "after the token,",
        lambda text: token() + text.encode(),
        [",", ";", " x", "#", "?a=b", "=", "&alg=none", "\\", "%00", '"'],
    ),
    **each(
        "before the token,",
        lambda text: text.encode() + token(),
        ["Bearer ", '"', "'", "x", "%20", "=", "JWT "],
    ),
    "in base64 with + and /": lambda: token(RSA).replace(b"-", b"+").replace(b"_", b"/") + b"+/",
    "in base64 twice": lambda: b64(token()),
    "in hex": lambda: token().hex().encode(),
    "in upper case": lambda: token().upper(),
    "in lower case": lambda: token().lower(),
    "backwards": lambda: token()[::-1],
    "header and payload exchanged": lambda: exchanged(token()),
    "two tokens, one after the other": lambda: token() + token(),
    "two tokens with a comma": lambda: token() + b"," + token(),
    "two tokens with a space": lambda: token() + b" " + token(),
    "the first half": lambda: token()[:200],
    "the issuer's public key itself": lambda: bytes(jwk(private(RSA))["n"], "ascii"),
    "its claims in JSON": lambda: json.dumps(claims()).encode(),
}


# JSON that two readers may read differently, and what is no JSON object at all.


def payload(text: bytes) -> bytes:
    return signed({"alg": ED, "kid": KIDS[ED]}, text, private(ED), ED)


def header(text: bytes) -> bytes:
    return signed(text, claims(), private(ED), ED)


def also(more: str, **changes: Any) -> bytes:
    """A payload with good claims, these changes, and more members as they are written."""
    return payload(f"{json.dumps(claims(**changes))[:-1]}, {more}}}".encode())


def good() -> bytes:
    return json.dumps(claims()).encode()


JSON: dict[str, Attack] = {
    **each(
        "a payload that is",
        lambda text: payload(text.encode()),
        ["null", "true", "1", "[]", '"text"', "[[[]]]", "", " ", "{", "}", "nul", "\x00", "// x"],
    ),
    **each(
        "a header that is",
        lambda text: header(text.encode()),
        ["null", "true", "1", "[]", '"alg"', "{", '{"alg":"EdDSA"', "{'alg': 'EdDSA'}"],
    ),
    "exp twice, expired first": lambda: also(f'"exp": {time.time() + 60}', exp=1),
    "exp twice, expired last": lambda: also('"exp": 1'),
    "exp twice, the same": lambda: also('"exp": 9999999999', exp=9999999999),
    "sub twice": lambda: also('"sub": "root"'),
    "aud twice": lambda: also(f'"aud": "{AUDIENCE}"', aud="other"),
    "iss twice": lambda: also(f'"iss": "{ISSUER}"', iss="other"),
    "scope twice": lambda: also('"scope": "admin"', scope=""),
    "sub twice, once with an escape in its name": lambda: also('"s\\u0075b": "root"'),
    "a member of an inner object twice": lambda: also('"x": {"a": 1, "a": 2}'),
    "alg twice": lambda: header(b'{"alg":"none","alg":"EdDSA"}'),
    "kid twice": lambda: header(b'{"alg":"EdDSA","kid":"ed-1","kid":"ed-1"}'),
    "alg twice, once with an escape in its name": lambda: header(b'{"alg":"EdDSA","\\u0061lg":"none"}'),
    "a payload with NaN": lambda: also('"x": NaN'),
    "a payload with Infinity": lambda: also('"x": -Infinity'),
    "a number of 5000 digits": lambda: also(f'"x": {"9" * 5000}'),
    "a payload in Latin-1": lambda: payload(
        json.dumps(claims(sub="André"), ensure_ascii=False).encode("latin-1")
    ),
    "a payload in UTF-16": lambda: payload(good().decode().encode("utf-16")),
    "a payload in UTF-32": lambda: payload(good().decode().encode("utf-32")),
    "a payload after a byte order mark": lambda: payload(b"\xef\xbb\xbf" + good()),
    "a header in UTF-16": lambda: header('{"alg":"EdDSA"}'.encode("utf-16")),
    "a header after a byte order mark": lambda: header(b'\xef\xbb\xbf{"alg":"EdDSA"}'),
    "a payload with more after it": lambda: payload(good() + b"{}"),
    "a payload with a comment": lambda: payload(good() + b"/* */"),
    "a payload with a comma too many": lambda: payload(good()[:-1] + b",}"),
    "a payload with a zero byte after it": lambda: payload(good() + b"\x00"),
    "a payload of 2000 lists in each other": lambda: payload(b'{"x":' + b"[" * 2000 + b"]" * 2000 + b"}"),
    "a header of 2000 lists in each other": lambda: header(b'{"alg":' + b"[" * 2000 + b"]" * 2000 + b"}"),
    "a payload of 2000 lists that do not end": lambda: payload(b"[" * 2000),
    "a compressed payload": lambda: signed({"alg": ED, "zip": "DEF"}, zlib.compress(good()), private(ED), ED),
    "a token in a token": lambda: signed({"alg": ED, "cty": "JWT"}, token(), private(ED), ED),
    "a token in a token's JSON": lambda: payload(json.dumps(token().decode()).encode()),
}


# Extensions and kinds (RFC 7515, section 4.1.11; RFC 7797; RFC 8725, section 3.11).


def unencoded(*, detached: bool) -> bytes:
    head = part({"alg": ED, "b64": False, "crit": ["b64"]})
    seal = b64(signature(ED, private(ED), head + b"." + good()))
    return head + b"." + (b"" if detached else good()) + b"." + seal


OTHER_KINDS = [
    *("logout+jwt", "secevent+jwt", "dpop+jwt", "token-introspection+jwt", "oauth-authz-req+jwt", "id+jwt"),
    *("client-authentication+jwt", "JOSE", "JOSE+JSON", "JWE", "", " JWT", "JWT\x00", "at", "*"),
    *(1, True, None, ["JWT"], {"JWT": 1}),
]
KINDS: dict[str, Attack] = {
    **each(
        "crit",
        lambda value: token(header={"crit": value, "x": 1}),
        [[], ["x"], ["exp"], ["alg"], ["b64"], [1], "x", None, {}, True, 0],
    ),
    "crit with b64 true": lambda: token(header={"crit": ["b64"], "b64": True}),
    "b64 true": lambda: token(header={"b64": True}),
    "b64 false without crit": lambda: token(header={"b64": False}),
    "b64 false, the payload as it is": lambda: unencoded(detached=False),
    "b64 false, the payload elsewhere": lambda: unencoded(detached=True),
    **each("typ", lambda value: token(header={"typ": value}), OTHER_KINDS),
}

FORMS = PARTS | JSON | KINDS
