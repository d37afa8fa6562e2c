"""Verification of JSON Web Tokens (RFC 7519), following RFC 8725."""

import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from threading import Lock

import jwt

from app.auth.caller import Caller
from app.auth.claims import ExpectedClaims, caller_of
from app.auth.json_object import parse_object
from app.auth.jwt_keys import Key, Keys
from app.auth.tokens import digest_of
from app.core.errors import Unauthenticated

# JWS compact serialization (RFC 7515, section 7.1): three parts in base64url, none of them empty. An
# encrypted token has five, an unsigned one and one with its payload elsewhere an empty one.
_FORM = re.compile(rb"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# The `typ` of access tokens (RFC 8725, section 3.11, and RFC 9068). The same keys sign other tokens, such as
# logout tokens, which must not be accepted.
_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
# Verified tokens in the cache; one takes about half a kilobyte.
_CACHE_SIZE = 4096

_MALFORMED = "the token is not a JWT"
_UNTRUSTED = "the token is not signed with a trusted key"

_JWS = jwt.PyJWS(algorithms=["RS256", "ES256", "EdDSA", "HS256"])


class JwtVerifier:
    """Verifies tokens with the keys that `keys()` returns, and caches verified ones. Thread-safe.

    A verified token is cached until it expires or the keys change. After a change every token is verified
    again, so that a token is rejected as soon as its key is removed.

    From a token's header, only `alg`, `kid` and `typ` are used, the last two if present. Parameters that name
    or contain a key (`jku`, `x5u`, `jwk`, `x5c`) are ignored, and a token with `crit` is rejected.
    """

    def __init__(
        self,
        keys: Callable[[], Keys],
        expected: ExpectedClaims,
        *,
        missing: Callable[[], None] = lambda: None,
        cache_size: int = _CACHE_SIZE,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`keys` returns the same object until the keys change. `missing` is called for an unknown `kid`.

        `cache_size` is the number of cached tokens; `now` returns a Unix time.
        """
        self._keys = keys
        self._expected = expected
        self._missing = missing
        self._cache_size = cache_size
        self._now = now
        self._lock = Lock()
        self._cache = _TokenCache(keys())

    def __call__(self, token: bytes) -> Caller:
        """Returns the caller of the token. Raises Unauthenticated for bytes that are not a valid token."""
        keys = self._keys()
        cache = self._cache
        if cache.keys is not keys:
            cache = self._cache = _TokenCache(keys)
        digest = digest_of(token)
        found = cache.callers.get(digest)
        if found is None:
            found = self._verify(token, keys)
            self._remember(cache, digest, found)
        caller, until = found
        if self._now() >= until:
            raise Unauthenticated("the token has expired")
        return caller

    def known(self, token: bytes) -> Caller | None:
        """Returns the caller of a token in the cache."""
        cache = self._cache
        found = cache.callers.get(digest_of(token)) if cache.keys is self._keys() else None
        return found[0] if found is not None and self._now() < found[1] else None

    def _remember(self, cache: "_TokenCache", digest: bytes, found: tuple[Caller, float]) -> None:
        with self._lock:
            if len(cache.callers) >= self._cache_size:
                del cache.callers[next(iter(cache.callers))]  # the oldest
            cache.callers[digest] = found

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
        """Returns the keys that may have signed the token, by its header."""
        try:
            # PyJWT checks whether the base64 is exact, for this part and the others.
            header = parse_object(urlsafe_b64decode(header_part + b"=="))
        except ValueError:
            raise Unauthenticated(_MALFORMED) from None
        algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
        if not isinstance(algorithm, str) or not isinstance(key_id, str | None) or not isinstance(kind, str):
            raise Unauthenticated(_MALFORMED)
        if kind.lower() not in _TYPES or "crit" in header or "b64" in header:
            raise Unauthenticated("the token's type is not accepted")
        found = keys.fitting(algorithm, key_id)
        if not found and key_id is not None:
            self._missing()
        return found


class _TokenCache:
    """The callers of tokens that were verified with these keys, by the token's digest, and their expiry."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.callers: dict[bytes, tuple[Caller, float]] = {}
