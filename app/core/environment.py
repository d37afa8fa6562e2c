"""Reading sections of the settings from the environment."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from app.core.section import PREFIX, Section, failed_checks, settings_of
from app.core.value_type import ValueType, value_types

AnySection = TypeVar("AnySection", bound=Section)

# Kubernetes sets these in every pod for a Service called `app` or `app-…`.
_SERVICE_LINK = re.compile(
    r"\w+(_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)=.*|\w+_PORT(_\w+)?=\w+://.*"
)


def read(section: type[AnySection], environment: Mapping[str, str], mistakes: list[str]) -> AnySection:
    """Reads one section and adds to the mistakes.

    An invalid setting is missing in what is returned, so that nothing is decided by its default. An empty
    variable counts as unset.
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
    try:
        return TypeAdapter(wanted.annotation).validate_python(text)
    except ValidationError:
        raise ValueError(f"invalid value {text!r} for {name}: expected {wanted}") from None


def unknown(environment: Mapping[str, str], sections: Iterable[type[Section]]) -> Iterator[str]:
    """A mistake for each variable with our prefix that is no setting."""
    known = [name for section in sections for name in settings_of(section)]
    for name, value in environment.items():
        if name.startswith(PREFIX) and name not in known and not _SERVICE_LINK.fullmatch(f"{name}={value}"):
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            yield f"{name}: unknown setting" + (f"; did you mean {close[0]}?" if close else "")
