"""Settings as the status page shows them, without secrets."""

from dataclasses import MISSING, Field
from typing import Any, NamedTuple

from app.core.section import Section, settings_of, text_of
from app.core.value_type import ValueType, value_types

# Values of these types are no secrets: numbers, booleans, and words of a list.
_PLAIN = {"boolean", "integer", "number"}


class ShownSetting(NamedTuple):
    """`value` is as the variable would have it, "" where it is unset, and None if it may be a secret."""

    variable: str
    value: str | None
    default: bool  # whether the variable is unset, or has the default


def shown_settings(given: Section, in_force: Section) -> list[ShownSetting]:
    """The settings of a section, in their order.

    `given` has what the variables say, `in_force` what follows from it. A text that is not the default is
    shown only if its field permits it (`setting(..., shown=True)`): what nobody has decided is left out.
    """
    kinds = value_types(type(given))
    found = []
    for name, field in settings_of(given).items():
        default = getattr(given, field.name) == _default(field)
        value = text_of(getattr(in_force, field.name))
        shown = default or field.metadata["shown"] or _plain(kinds[name])
        found.append(ShownSetting(name, value if shown else None, default))
    return found


def _default(field: Field[Any]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _plain(kind: ValueType) -> bool:
    return kind.parser is None and ("enum" in kind.schema or kind.schema["type"] in _PLAIN)
