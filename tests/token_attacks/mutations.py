"""Tokens that are almost good ones, any number of them."""

import json
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from random import Random

from tests.support.tokens import b64, parts

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def mutated(good: Sequence[bytes], by: Random) -> Iterator[bytes]:
    """Endless; none of them is one of the good ones. The same for the same `by`."""
    while True:
        made = by.choice(good)
        for _ in range(by.choice((1, 1, 1, 2, 3))):
            made = by.choice(MUTATIONS)(made, good, by) or b"."
        if made not in good:
            yield made


def _bit(made: bytes, _good: Sequence[bytes], by: Random) -> bytes:
    at = by.randrange(len(made))
    return made[:at] + bytes([made[at] ^ (1 << by.randrange(8))]) + made[at + 1 :]


def _letter(made: bytes, _good: Sequence[bytes], by: Random) -> bytes:
    at = by.randrange(len(made))
    return made[:at] + bytes([by.choice(_ALPHABET)]) + made[at + 1 :]


def _insertion(made: bytes, _good: Sequence[bytes], by: Random) -> bytes:
    at = by.randrange(len(made) + 1)
    return made[:at] + by.choice((bytes([by.choice(_ALPHABET)]), b".", b"=", b" ", b"\x00", b"%")) + made[at:]


def _deletion(made: bytes, _good: Sequence[bytes], by: Random) -> bytes:
    at = by.randrange(len(made))
    return made[:at] + made[at + by.choice((1, 1, 2, 4, 40)) :]


def _exchange(made: bytes, _good: Sequence[bytes], by: Random) -> bytes:
    first, second = sorted(by.randrange(len(made)) for _ in range(2))
    changed = bytearray(made)
    changed[first], changed[second] = changed[second], changed[first]
    return bytes(changed)


def _repetition(made: bytes, _good: Sequence[bytes], by: Random) -> bytes:
    first, second = sorted(by.randrange(len(made)) for _ in range(2))
    return made[:second] + made[first:]


def _splice(made: bytes, good: Sequence[bytes], by: Random) -> bytes:
    """Parts of several good tokens."""
    others = [parts(by.choice((made, *good))) for _ in range(3)]
    return b".".join(other[number % len(other)] for number, other in enumerate(others))


def _text(made: bytes, _good: Sequence[bytes], by: Random) -> bytes:
    """A letter changed in what a part says, the signature kept."""
    return _said(made, by, lambda text: _letter(text, (), by) if text else b"{}")


def _member(made: bytes, _good: Sequence[bytes], by: Random) -> bytes:
    """A member added, changed or left out in what a part says, the signature kept."""

    def change(text: bytes) -> bytes:
        try:
            found = json.loads(text)
        except ValueError:
            return b"{}"
        if not isinstance(found, dict):
            return b"{}"
        name = by.choice((*found, "alg", "kid", "jwk", "sub", "exp", "aud", "scope"))
        if by.random() < 0.3:
            found.pop(name, None)
        else:
            found[name] = by.choice((None, True, 0, 1, 2**53, "", "none", "HS256", "root", [], ["x"], {}))
        return json.dumps(found).encode()

    return _said(made, by, change)


# Both alphabets are read: a mutation may put a letter of one among those of the other.
_STANDARD = bytes.maketrans(b"-_", b"+/")


def _said(made: bytes, by: Random, change: Callable[[bytes], bytes]) -> bytes:
    given = parts(made)
    at = by.randrange(min(2, len(given)))
    try:
        text = b64decode(given[at].translate(_STANDARD) + b"==")
    except ValueError:
        return made[:-1]
    given[at] = b64(change(text))
    return b".".join(given)


MUTATIONS = (_bit, _letter, _insertion, _deletion, _exchange, _repetition, _splice, _text, _member)
