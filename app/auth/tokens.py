"""Static tokens: a file with one `name:token` per line."""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from hmac import compare_digest
from typing import NamedTuple

from app.auth.caller import Caller
from app.core.errors import Unauthenticated

# Shorter tokens can be guessed over the network; this is 96 bits in base64, 64 in hex.
_MIN_LENGTH = 16
# Short enough to hash for any client; gRPC accepts 8 KiB of metadata by default.
LONGEST = 8192
# The printable characters of ASCII, without the space.
_PRINTABLE = range(0x21, 0x7F)


def digest_of(token: bytes) -> bytes:
    """Returns a digest of 32 bytes by BLAKE2 (RFC 7693): setting up OpenSSL's SHA-256 costs more."""
    return blake2b(token, digest_size=32).digest()


class StaticToken(NamedTuple):
    """The digest of a token and its caller. The token itself is not kept in memory."""

    digest: bytes
    caller: Caller


class TokenVerifier:
    """Looks tokens up by digest, and compares the digests in constant time."""

    def __init__(self, tokens: Callable[[], Mapping[bytes, StaticToken]]) -> None:
        """`tokens` is called each time, so that a changed file applies from the next call on."""
        self._tokens = tokens

    def __call__(self, token: bytes) -> Caller:
        """Returns the caller of the token. Raises Unauthenticated for one that is not in the file."""
        caller = self.known(token)
        if caller is None:
            raise Unauthenticated("the token is not valid")
        return caller

    def known(self, token: bytes) -> Caller | None:
        digest = digest_of(token)
        found = self._tokens().get(digest)
        return found.caller if found is not None and compare_digest(found.digest, digest) else None


def parse_tokens(content: bytes) -> dict[bytes, StaticToken]:
    """Returns the tokens by their digests.

    A name may have several tokens, so that one can be replaced while the other is still in use. Blank
    lines and lines that begin with `#` are skipped. Raises ValueError with the number of the line and the
    mistake, never with the token.
    """
    tokens: dict[bytes, StaticToken] = {}
    for number, raw in enumerate(content.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith(b"#"):
            continue
        name, colon, token = (part.strip() for part in line.partition(b":"))
        try:
            owner = name.decode("ascii")
            token.decode("ascii")
        except UnicodeDecodeError:
            raise ValueError(f"line {number}: not ASCII; metadata carries ASCII only") from None
        if not colon or not owner or not owner.isprintable():
            raise ValueError(f"line {number}: expected name:token")
        if len(token) < _MIN_LENGTH or any(byte not in _PRINTABLE for byte in token):
            raise ValueError(
                f"line {number}: the token of {owner!r} must have at least {_MIN_LENGTH} printable characters"
                " and no space, such as the output of: openssl rand -hex 24"
            )
        if len(token) > LONGEST:
            raise ValueError(f"line {number}: the token of {owner!r} is longer than {LONGEST} characters")
        digest = digest_of(token)
        if tokens.setdefault(digest, StaticToken(digest, Caller(owner))).caller.name != owner:
            other = tokens[digest].caller.name
            raise ValueError(f"line {number}: {owner!r} and {other!r} have the same token")
    if not tokens:
        raise ValueError("no name:token line, so no caller would be accepted")
    return tokens
