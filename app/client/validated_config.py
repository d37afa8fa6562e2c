"""Settings of a channel that are checked when they are built.

gRPC passes over a key that it does not know, clamps some values, and fails every call for others. Here a
misspelt name is a TypeError, and a value that would not work a ValueError: each names the setting, and says
what would be right.
"""

import difflib
import math
from dataclasses import fields
from types import UnionType
from typing import Any, NoReturn, Self

# gRPC counts in milliseconds, and a day is long for anything that is waited for.
_LEAST, _MOST = 0.001, 86_400


class ValidatedConfig:
    """The base of a frozen dataclass whose `__post_init__` looks at each of its settings."""

    def __new__(cls, *_: object, **given: object) -> Self:
        known = [one.name for one in fields(cls)]  # type: ignore[arg-type]  # the classes below it have some
        for name in given:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
                right = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
                raise TypeError(f"{cls.__name__} has no {name}; {right}")
        return super().__new__(cls)

    def _whole(self, field: str, least: int, most: int, why: str = "") -> None:
        value = getattr(self, field)
        if type(value) is not int or not least <= value <= most:
            self._wrong(field, f"a whole number from {least} to {most}", why)

    def _number(self, field: str, least: float, most: float, why: str = "") -> None:
        if not _within(getattr(self, field), least, most):
            self._wrong(field, f"a number from {least:g} to {most:g}", why)

    def _seconds(self, field: str, least: float = _LEAST, why: str = "") -> None:
        if not _within(getattr(self, field), least, _MOST):
            self._wrong(field, f"a number of seconds from {least:g} to {_MOST}", why)

    def _kind(self, field: str, kind: type | UnionType, right: str) -> None:
        if not isinstance(getattr(self, field), kind):
            self._wrong(field, right)

    def _wrong(self, field: str, right: str, why: str = "") -> NoReturn:
        """Raises ValueError: what the setting is, and what is right instead."""
        reason = f", for {why}" if why else ""
        value = getattr(self, field)
        raise ValueError(f"{type(self).__name__}.{field}: {value!r} does not fit; {right} is right{reason}")


def _within(value: Any, least: float, most: float) -> bool:
    return type(value) in {int, float} and math.isfinite(value) and least <= value <= most


def duration(seconds: float) -> str:
    """As gRPC reads it: `0.100s`. With `100ms` it would fail every call."""
    return f"{seconds:.3f}s"
