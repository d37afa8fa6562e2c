"""The server's settings, and how settings are read. A service keeps its own beside itself."""

import difflib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.core.address import Address, parse_addresses
from app.core.errors import StartError
from app.core.watched_file import in_words, read_file

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


class ServerSettings(Section):
    """Everything that can be set on the server itself. Durations are in seconds."""

    listen: Addresses = setting(
        "127.0.0.1:50051", "one or more addresses to serve on, by commas", right="HOST:PORT or unix:/PATH"
    )
    metrics_listen: Addresses = setting(
        "127.0.0.1:9464", "the address of `/metrics`, `/healthz` and `/readyz`", right="HOST:PORT"
    )
    services: Names = setting(
        (), "which services to serve, by full names and commas; all when unset", right=""
    )

    workers: Annotated[int, Field(ge=1, le=1000)] = setting(
        32, "threads for unary calls", right="a whole number from 1 to 1000"
    )
    max_calls: Annotated[int, Field(ge=1, le=100_000)] = setting(
        1000,
        "unary calls accepted at once, waiting ones included; past it the answer is RESOURCE_EXHAUSTED",
        right="a whole number from 1 to 100000",
    )
    max_streams: Annotated[int, Field(ge=1, le=10_000)] = setting(
        100,
        "streams open at once, each on a thread of its own; past it the answer is RESOURCE_EXHAUSTED",
        right="a whole number from 1 to 10000",
    )
    max_watches: Annotated[int, Field(ge=1, le=10_000)] = setting(
        1000,
        "health Watches open at once, each on a thread; clients that check health have one a connection",
        right="a whole number from 1 to 10000",
    )
    max_deadline: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] = setting(
        300,
        "the longest that a call may take, streams included",
        right="a number of seconds above 0, up to 86400",
    )
    max_connection_age: Seconds | None = setting(
        None,
        "how long a connection is used before clients are asked to open another; off when unset",
        right=SECONDS,
    )
    max_connection_calls: Annotated[int, Field(ge=1, le=100_000)] = setting(
        1000,
        "calls open at once on one connection; past it clients wait, or open another connection",
        right="a whole number from 1 to 100000",
    )
    max_message_bytes: Annotated[int, Field(ge=1024, le=1_000_000_000)] = setting(
        4 * 1024 * 1024,
        "the longest message, either way, uncompressed; past it the answer is RESOURCE_EXHAUSTED",
        right="a whole number of bytes from 1024 to 1000000000",
    )
    max_metadata_bytes: Annotated[int, Field(ge=1024, le=1_048_576)] = setting(
        16 * 1024,
        "the longest metadata of a request, counting 32 bytes more for each key; past it the answer is"
        " RESOURCE_EXHAUSTED",
        right="a whole number of bytes from 1024 to 1048576",
    )
    keepalive_time: PositiveSeconds = setting(
        30, "how long a connection may be silent before the server pings the client", right=POSITIVE_SECONDS
    )
    keepalive_timeout: PositiveSeconds = setting(
        20,
        "how long that ping may go unanswered, or a handshake take, before the connection is closed",
        right=POSITIVE_SECONDS,
    )
    permit_keepalive_time: PositiveSeconds = setting(
        5,
        "how often a client may ping, with a call or without; one that does so more often is cut off",
        right=POSITIVE_SECONDS,
    )

    reflection: bool | None = setting(
        None, "server reflection; on only where every address is loopback", right="true or false"
    )

    drain_delay: Seconds = setting(
        1, "after SIGTERM, how long to go on serving while endpoints and clients catch up", right=SECONDS
    )
    drain_grace: Seconds = setting(20, "after that, how long running calls may take to finish", right=SECONDS)

    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "`debug`, `info`, `warning` or `error`", right="debug, info, warning or error"
    )
    log_format: Literal["json", "console"] | None = setting(
        None, "`json` or `console`; `console` on a terminal, `json` elsewhere", right="json or console"
    )

    @field_validator("metrics_listen")
    @classmethod
    def _one_http_address(cls, value: tuple[Address, ...]) -> tuple[Address, ...]:
        if any(address.port is None for address in value):
            raise ValueError("metrics are served over TCP only: write HOST:PORT")
        return value

    @field_validator("reflection")
    @classmethod
    def _on_loopback(cls, value: bool | None, info: ValidationInfo) -> bool:
        return all(address.loopback for address in info.data.get("listen", ())) if value is None else value


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
