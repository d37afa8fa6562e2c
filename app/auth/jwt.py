"""Tokens that an issuer has signed: JSON Web Tokens (RFC 7519), verified as RFC 8725 asks for."""

import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from threading import Lock

import jwt

from app.auth.caller import Caller
from app.auth.claims import Expected, caller_of
from app.auth.json_object import parse_object
from app.auth.jwt_keys import Key, Keys
from app.auth.tokens import digest_of
from app.core.errors import Unauthenticated

# JWS compact serialization (RFC 7515, section 7.1): three parts in base64url, none of them empty. An
# encrypted token has five, an unsigned one and one with its payload elsewhere an empty one.
_FORM = re.compile(rb"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# What access tokens are called in their header (RFC 8725, section 3.11, and RFC 9068). Others, such as
# logout tokens, are signed with the same keys and were not made for us.
_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
# Verified tokens to remember; one takes about half a kilobyte.
_MOST = 4096

_MALFORMED = "the token is not a JWT"
_UNTRUSTED = "the token is not signed with a key that is trusted here"

_JWS = jwt.PyJWS(algorithms=["RS256", "ES256", "EdDSA", "HS256"])


class Jwt:
    """Verifies tokens with `keys()`, and remembers those that it has verified. Safe from several threads.

    A verified token is remembered until it expires, and no longer than the keys are the same: with others,
    every token is verified anew, so that one whose key is gone is refused at once.

    Of a token's header, `alg`, `kid` and `typ` count, the last two where they are there. What names or holds
    a key (`jku`, `x5u`, `jwk`, `x5c`) is never looked at, and `crit` is refused whatever it names.
    """

    def __init__(
        self,
        keys: Callable[[], Keys],
        expected: Expected,
        *,
        missing: Callable[[], None] = lambda: None,
        most: int = _MOST,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`keys` returns the same object until keys change; `missing` hears of a `kid` that is not there.

        `most` is how many tokens are remembered, `now` a Unix time.
        """
        self._keys = keys
        self._expected = expected
        self._missing = missing
        self._most = most
        self._now = now
        self._lock = Lock()
        self._verified = _Verified(keys())

    def __call__(self, token: bytes) -> Caller:
        """Whose token it is. Raises Unauthenticated for any bytes that are not a token that is valid now."""
        keys = self._keys()
        verified = self._verified
        if verified.keys is not keys:
            verified = self._verified = _Verified(keys)
        digest = digest_of(token)
        found = verified.callers.get(digest)
        if found is None:
            found = self._verify(token, keys)
            self._remember(verified, digest, found)
        caller, until = found
        if self._now() >= until:
            raise Unauthenticated("the token has expired")
        return caller

    def _remember(self, verified: "_Verified", digest: bytes, found: tuple[Caller, float]) -> None:
        with self._lock:
            if len(verified.callers) >= self._most:
                del verified.callers[next(iter(verified.callers))]  # the oldest
            verified.callers[digest] = found

    def _verify(self, token: bytes, keys: Keys) -> tuple[Caller, float]:
        form = _FORM.fullmatch(token)
        if form is None:
            raise Unauthenticated(_MALFORMED)
        for key in self._fitting(form[1], keys):
            try:
                claims = parse_object(_JWS.decode_complete(token, key.material, [key.algorithm])["payload"])
            except jwt.InvalidSignatureError:
                continue
            except (jwt.PyJWTError, ValueError):  # PyJWT's texts repeat the token
                raise Unauthenticated(_MALFORMED) from None
            return caller_of(claims, self._expected, self._now())
        raise Unauthenticated(_UNTRUSTED)

    def _fitting(self, header_part: bytes, keys: Keys) -> tuple[Key, ...]:
        """The keys that the token may be signed with, by its header."""
        try:
            # Whether its base64 is exact is seen by PyJWT, as for the other parts.
            header = parse_object(urlsafe_b64decode(header_part + b"=="))
        except ValueError:
            raise Unauthenticated(_MALFORMED) from None
        algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
        if not isinstance(algorithm, str) or not isinstance(key_id, str | None) or not isinstance(kind, str):
            raise Unauthenticated(_MALFORMED)
        if kind.lower() not in _TYPES or "crit" in header or "b64" in header:
            raise Unauthenticated("the token is of a kind that is not taken here")
        found = keys.fitting(algorithm, key_id)
        if not found and key_id is not None:
            self._missing()
        return found


class _Verified:
    """The tokens that were verified with these keys, by SHA-256: whose they are, and until when."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.callers: dict[bytes, tuple[Caller, float]] = {}
