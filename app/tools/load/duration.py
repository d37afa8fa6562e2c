"""How long, as people write it."""

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_FORM = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_LONGEST = 7 * 86_400


def parse_duration(text: str) -> float:
    """Seconds of `30s`, `2m`, `1m30s` or `500ms`. Raises ValueError, in words."""
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if not _FORM.fullmatch(text) or not 0 < seconds <= _LONGEST:
        raise ValueError(
            f"{text!r} does not fit; a time above 0 and up to a week, such as 30s or 2m, is right"
        )
    return seconds
