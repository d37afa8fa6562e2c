"""Strict parsing of JSON objects from outside, so that no two parsers can read them differently."""

import json
from typing import Any, NoReturn


def parse_object(data: bytes) -> dict[str, Any]:
    """Returns the object. Raises ValueError, whose text has nothing of the data, for anything else.

    Stricter than `json.loads`: UTF-8 only (RFC 8259, section 8.1), no duplicate member (RFC 7515 and RFC 7519
    leave that to the parser, both in section 4), and neither NaN nor Infinity.
    """
    try:
        found = json.loads(data.decode(), object_pairs_hook=_members, parse_constant=_constant)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise ValueError("not JSON in UTF-8") from None
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    return found


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate member")
    return found


def _constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not valid JSON")
