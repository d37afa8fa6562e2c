"""The server's settings, and how settings are read. A service keeps its own beside itself."""

import difflib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.core.address import Address, parse_addresses
from app.core.errors import StartError
from app.core.file import in_words, read_file

PREFIX = "APP_"


def _addresses(value: object) -> object:
    return parse_addresses(value) if isinstance(value, str) else value


def _names(value: object) -> object:
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


Addresses = Annotated[tuple[Address, ...], NoDecode, BeforeValidator(_addresses)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]


def _file(path: Path) -> Path:
    check_content(path, len)
    return path


File = Annotated[Path, AfterValidator(_file)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
SECONDS = "a number of seconds from 0 to 86400, such as 1.5"
PositiveSeconds = Annotated[float, Field(ge=0.1, le=86_400, allow_inf_nan=False)]
POSITIVE_SECONDS = "a number of seconds from 0.1 to 86400, such as 1.5"

Content = TypeVar("Content")


def setting(default: Any, description: str, *, right: str) -> Any:
    """A field with its line in the README's table, and the words for a value that does not fit it."""
    return Field(default, description=description, json_schema_extra={"right": right}, validate_default=True)


class Section(BaseSettings):
    """A part of the settings. Each field `some_name` is read from the variable `APP_SOME_NAME`."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, arbitrary_types_allowed=True
    )


def check_content(path: Path, parse: Callable[[bytes], Content]) -> Content:
    """What `parse` makes of the file.

    Raises ValueError with the file and what is wrong in it, so that all mistakes show at once.
    """
    try:
        return parse(read_file(path))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {in_words(error)}") from None


Root = TypeVar("Root", bound=Section)

# What Kubernetes sets in every pod for a Service called `app` or `app-…`: not ours to judge.
_SERVICE_LINK = re.compile(
    r"\w+(_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)=.*|\w+_PORT(_\w+)?=\w+://.*"
)


def load(root: type[Root]) -> Root:
    """Reads all settings. Raises StartError with every mistake, each on a line that names its variable."""
    known = {variable(name): name for name in root.model_fields}
    problems = [
        _unknown(name, known)
        for name, value in os.environ.items()
        if name.startswith(PREFIX) and name not in known and not _SERVICE_LINK.fullmatch(f"{name}={value}")
    ]
    try:
        settings = root()
    except ValidationError as error:
        problems += [_in_words(details, root) for details in error.errors()]
        raise StartError("\n".join(problems)) from None
    if problems:
        raise StartError("\n".join(problems))
    return settings


def variable(field: str) -> str:
    return PREFIX + field.upper()


def _unknown(name: str, known: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"{name}: there is no such setting" + (f"; did you mean {close[0]}?" if close else "")


def _in_words(details: ErrorDetails, root: type[Section]) -> str:
    field = str(details["loc"][0])
    extra = root.model_fields[field].json_schema_extra
    right = extra["right"] if isinstance(extra, dict) else ""
    if details["type"] == "value_error":
        return f"{variable(field)}: {details['ctx']['error']}"
    return f"{variable(field)}: {details['input']!r} does not fit; {right} is right"
