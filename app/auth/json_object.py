"""JSON objects from outside, read so that no two readers can understand them differently."""

import json
from typing import Any, NoReturn


def parse_object(data: bytes) -> dict[str, Any]:
    """Returns the object. Raises ValueError, in words that repeat nothing of it, for anything else.

    Stricter than `json.loads`: UTF-8 alone (RFC 8259, section 8.1), no member twice (RFC 7515 and RFC 7519,
    section 4 of either, leave that to the reader), and neither NaN nor Infinity.
    """
    try:
        found = json.loads(data.decode(), object_pairs_hook=_members, parse_constant=_constant)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise ValueError("it is not JSON in UTF-8") from None
    if not isinstance(found, dict):
        raise ValueError("it is JSON, but not an object")  # noqa: TRY004 - what is wrong is a value from outside
    return found


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("it has a member twice")
    return found


def _constant(_name: str) -> NoReturn:
    raise ValueError("it has NaN or Infinity, which JSON has not")
