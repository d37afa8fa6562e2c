"""The base of the channel's settings, which are checked when they are built.

gRPC ignores keys that it does not know, clamps some values, and fails every call for others. Here a misspelt
name raises TypeError, and an invalid value ValueError; the message names the setting, and what was expected.
"""

import difflib
from dataclasses import fields
from types import UnionType
from typing import NoReturn, Self

# gRPC counts in milliseconds; no timeout needs more than a day.
_SHORTEST, _LONGEST = 0.001, 86_400


class ValidatedConfig:
    """The base of a frozen dataclass whose `__post_init__` checks each of its settings."""

    def __new__(cls, *_: object, **given: object) -> Self:
        known = [one.name for one in fields(cls)]  # type: ignore[arg-type]  # subclasses are dataclasses
        for name in given:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
                hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(known)}"
                raise TypeError(f"{cls.__name__} has no setting {name}; {hint}")
        return super().__new__(cls)

    def _check_integer(self, field: str, least: int, most: int, why: str = "") -> None:
        value = getattr(self, field)
        if type(value) is not int or not least <= value <= most:
            self._reject(field, f"an integer from {least} to {most}", why)

    def _check_number(self, field: str, least: float, most: float, why: str = "") -> None:
        if not _is_within(getattr(self, field), least, most):
            self._reject(field, f"a number from {least:g} to {most:g}", why)

    def _check_seconds(self, field: str, least: float = _SHORTEST, why: str = "") -> None:
        if not _is_within(getattr(self, field), least, _LONGEST):
            self._reject(field, f"a number of seconds from {least:g} to {_LONGEST}", why)

    def _check_type(self, field: str, kind: type | UnionType, expected: str) -> None:
        if not isinstance(getattr(self, field), kind):
            self._reject(field, expected)

    def _reject(self, field: str, expected: str, why: str = "") -> NoReturn:
        """Raises ValueError."""
        reason = f" ({why})" if why else ""
        value = getattr(self, field)
        raise ValueError(
            f"invalid value {value!r} for {type(self).__name__}.{field}: expected {expected}{reason}"
        )


def _is_within(value: object, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def duration(seconds: float) -> str:
    """Formats seconds as gRPC reads them: `0.100s`. With `100ms` it would fail every call."""
    return f"{seconds:.3f}s"
