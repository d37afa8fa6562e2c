"""Reading sections of the settings from the environment."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from app.core.section import PREFIX, Section, failed_checks, settings_of
from app.core.value_type import ValueType, value_types

AnySection = TypeVar("AnySection", bound=Section)

# Kubernetes sets these in every pod for a Service called `app` or `app-…`.
_SERVICE_LINK = re.compile(
    r"\w+(_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)=.*|\w+_PORT(_\w+)?=\w+://.*"
)

# How alike a variable and a setting are, without the prefix, for the one to be taken for the other, misspelt:
# TLS_KEY and TLS_KEY_FILE are, SERVER and SERVICES are not. `difflib` describes the measure.
_CLOSE = 0.72


def read(section: type[AnySection], environment: Mapping[str, str], mistakes: list[str]) -> AnySection:
    """Reads one section and adds to the mistakes.

    Invalid settings are omitted, so checks cannot use their defaults. An empty variable counts as unset.
    """
    valid = {}
    wanted = value_types(section)
    for name, field in settings_of(section).items():
        if text := environment.get(name, ""):
            try:
                valid[field.name] = _value(name, text, wanted[name])
            except ValueError as error:
                mistakes.append(str(error))
        elif callable(field.default_factory):
            valid[field.name] = field.default_factory()
    found = object.__new__(section)
    vars(found).update(valid)
    mistakes.extend(failed_checks(found))
    return found


def _value(name: str, text: str, wanted: ValueType) -> object:
    if wanted.parser is not None:
        try:
            return wanted.parser.parse(text)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    if "enum" in wanted.schema:  # in whatever case: INFO is info
        text = next((one for one in wanted.schema["enum"] if one.lower() == text.lower()), text)
    try:
        return TypeAdapter(wanted.annotation).validate_python(text)
    except ValidationError:
        raise ValueError(f"invalid value {text!r} for {name}: expected {wanted}") from None


def unknown(environment: Mapping[str, str], sections: Iterable[type[Section]]) -> dict[str, str]:
    """The variables with our prefix that are no settings, each with the setting that it resembles, or ""."""
    known = [name.removeprefix(PREFIX) for section in sections for name in settings_of(section)]
    found = {}
    for name, value in environment.items():
        bare = name.removeprefix(PREFIX)
        if bare != name and bare not in known and not _SERVICE_LINK.fullmatch(f"{name}={value}"):
            close = difflib.get_close_matches(bare.upper(), known, n=1, cutoff=_CLOSE)
            found[name] = PREFIX + close[0] if close else ""
    return found
