"""The claims of a token whose signature is verified: RFC 7519, section 4.1, and RFC 8725, section 3.

PyJWT checks claims too, but accepts `"exp": true` and `"exp": "9999999999"` as dates.
"""

from dataclasses import dataclass
from typing import Any

from app.auth.caller import Caller
from app.core.errors import Unauthenticated

# The last second of the year 9999. A larger number is not in seconds.
_LAST_DATE = 253_402_300_799
_LONGEST_NAME = 256


@dataclass(frozen=True, slots=True)
class ExpectedClaims:
    """The required issuer and audience. `leeway` is the tolerated difference of clocks, in seconds."""

    issuer: str
    audience: str
    leeway: float


def caller_of(claims: dict[str, Any], expected: ExpectedClaims, now: float) -> tuple[Caller, float]:
    """Returns the caller, whose name is `sub`, and the Unix time at which the token expires, leeway included.

    `exp`, `iss`, `aud` and `sub` are required; `nbf` and `iat` are checked if present. Raises Unauthenticated
    with the name of the claim, not its value.
    """
    if "exp" not in claims:
        raise Unauthenticated("the token has no exp")
    until = _date(claims, "exp") + expected.leeway
    if now >= until:
        raise Unauthenticated("the token has expired")
    for name in ("nbf", "iat"):
        if name in claims and _date(claims, name) > now + expected.leeway:
            raise Unauthenticated(f"the token is not valid yet ({name})")
    if claims.get("iss") != expected.issuer:
        raise Unauthenticated("the token's iss is not the trusted issuer")
    if expected.audience not in _texts(claims, "aud"):
        raise Unauthenticated("the token's aud is not this service")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject.isprintable() or not 0 < len(subject) <= _LONGEST_NAME:
        raise Unauthenticated(f"the token's sub is not 1 to {_LONGEST_NAME} printable characters")
    return Caller(subject, _scopes(claims)), until


def _date(claims: dict[str, Any], name: str) -> float:
    """Returns a NumericDate: seconds since 1970, with fractions."""
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST_DATE:
        raise Unauthenticated(f"the token's {name} is not a date in seconds since 1970")
    return float(value)


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    """Returns the scopes of `scope` (RFC 8693, RFC 9068) or `scp`, either of them a text or a list."""
    name = "scope" if "scope" in claims else "scp"
    given = _texts(claims, name) if name in claims else []
    return frozenset(scope for text in given for scope in text.split(" ") if scope)


def _texts(claims: dict[str, Any], name: str) -> list[str]:
    value = claims.get(name)
    found: list[Any] = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in found):
        raise Unauthenticated(f"the token's {name} is neither a string nor a list of strings")
    return found
