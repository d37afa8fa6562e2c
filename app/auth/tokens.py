"""Files of static tokens: one `name:token` a line."""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from hmac import compare_digest
from typing import NamedTuple

from app.auth.caller import Caller, Verify
from app.core.errors import Unauthenticated

# Shorter ones can be guessed over the network; this is 96 bits in base64, 64 in hex.
_LEAST = 16
# Short enough to hash for anyone who asks; metadata of 8 KiB is all that gRPC takes.
LONGEST = 8192


def digest_of(token: bytes) -> bytes:
    """BLAKE2 in 32 bytes (RFC 7693). SHA-256 here is OpenSSL's, whose set-up costs more than the digest."""
    return blake2b(token, digest_size=32).digest()


class Token(NamedTuple):
    """A token by its digest, so that none is kept in memory, and whose it is."""

    digest: bytes
    caller: Caller


def verify_with(tokens: Callable[[], Mapping[bytes, Token]]) -> Verify:
    """Looks tokens up by digest, and compares the digests in constant time.

    `tokens` is asked at each call, so that a changed file counts from the next call on.
    """

    def verify(token: bytes) -> Caller:
        digest = digest_of(token)
        found = tokens().get(digest)
        if found is None or not compare_digest(found.digest, digest):
            raise Unauthenticated("the token is not valid here")
        return found.caller

    return verify


def parse_tokens(content: bytes) -> dict[bytes, Token]:
    """Returns the tokens by their digests.

    A name may have several tokens, so that one can be replaced while the other is still in use. Blank
    lines and lines that begin with `#` are passed over. Raises ValueError with the number of the line and
    what is wrong, and never with the token.
    """
    tokens: dict[bytes, Token] = {}
    for number, raw in enumerate(content.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith(b"#"):
            continue
        name, colon, token = (part.strip() for part in line.partition(b":"))
        try:
            owner = name.decode("ascii")
            token.decode("ascii")
        except UnicodeDecodeError:
            raise ValueError(f"line {number}: only ASCII characters can be sent in metadata") from None
        if not colon or not owner or not owner.isprintable():
            raise ValueError(f"line {number}: write name:token")
        if len(token) < _LEAST or any(not 0x21 <= byte <= 0x7E for byte in token):  # noqa: PLR2004
            raise ValueError(
                f"line {number}: the token of {owner!r} must have at least {_LEAST} visible characters"
                " and no space, such as the output of: openssl rand -hex 24"
            )
        if len(token) > LONGEST:
            raise ValueError(f"line {number}: the token of {owner!r} is longer than {LONGEST} characters")
        digest = digest_of(token)
        if tokens.setdefault(digest, Token(digest, Caller(owner))).caller.name != owner:
            raise ValueError(f"line {number}: {owner!r} has the token of {tokens[digest].caller.name!r}")
    if not tokens:
        raise ValueError("it has no name:token line, so nobody could call")
    return tokens
